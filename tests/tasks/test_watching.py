"""What is watched of any task: how examples are read, chosen, and which of their tokens are words."""

from dataclasses import replace

import torch

from qa_research.tasks.watching import (
    NO_WORD,
    PADDING,
    Outputs,
    Watched,
    WatchedExample,
    losses,
    read_texts,
)


def read(tokenizer, first, second):
    return read_texts(tokenizer(first, second).encodings[0], (first, second), ("first", "second"))


def test_two_texts_are_read_as_one_and_each_token_finds_its_characters(tokenizer):
    found = read(tokenizer, "Ms Lund teaches unbelievable chess.", "Who teaches chess?")
    assert found.text == "Ms Lund teaches unbelievable chess.\nWho teaches chess?"
    assert found.parts[0] == "cls" and found.parts.count("sep") == 2
    for token, part, (start, end), word in zip(
        found.tokens, found.parts, found.chars, found.words, strict=True
    ):
        if part in ("cls", "sep"):
            assert (start, end, word) == (0, 0, NO_WORD)
        elif token != "[UNK]":
            assert found.text[start:end].lower() == token.removeprefix("##")
    own = [word for word in found.words if word != NO_WORD]
    assert own == sorted(own) and set(own) == set(range(max(own) + 1))
    pieces = [t for t, w in zip(found.tokens, found.words, strict=True) if w == 3]
    assert "".join(pieces).replace("##", "") == "unbelievable" or pieces == ["[UNK]"]


def letters(text, marked=()):
    return WatchedExample(
        id=text,
        split="train",
        kind="",
        title="",
        heading=text,
        text=text,
        truths=("1",),
        tokens=tuple(text),
        parts=("letter",) * len(text),
        chars=tuple((i, i + 1) for i in range(len(text))),
        marked=marked,
    )


def test_groups_are_the_parts_and_what_is_marked():
    watched = Watched(
        examples=(letters("acgt", (1, 2)), letters("ac", (0,))),
        inputs={},
        mask=torch.tensor([[True] * 4, [True, True, False, False]]),
        part_names=(PADDING, "letter"),
        outputs=Outputs("number", ("prediction",), torch.tensor([1.0, 2.0]), lambda out: out),
        marked_as="motif",
    )
    assert list(watched.groups) == ["letter", "motif"]
    assert (watched.groups["letter"] == watched.mask.numpy()).all()
    assert watched.groups["motif"].tolist() == [
        [False, True, True, False],
        [True, False, False, False],
    ]
    assert list(replace(watched, marked_as="").groups) == ["letter"]
    assert letters("ac").word_of == (0, 1)


def test_losses_are_those_of_a_training():
    labels = Outputs("labels", ("no", "yes"), torch.tensor([1, 0]), lambda out: out)
    scores = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    wanted = torch.tensor(
        [torch.log1p(torch.exp(torch.tensor(-2.0))), torch.log(torch.tensor(2.0))]
    )
    assert torch.allclose(losses(scores, labels), wanted)
    number = Outputs("number", ("prediction",), torch.tensor([3.0]), lambda out: out)
    assert losses(torch.tensor([[1.0]]), number).tolist() == [4.0]
