"""The watched questions: one window of each, with the span and the words that carry its answer."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.decode import AnswerSettings
from qa_research.tasks.answering.question import Question, describe_bad_rows, find_bad_rows
from qa_research.tasks.answering.squad import read_questions
from qa_research.tasks.answering.windows import TokenText, Windows, make_windows
from qa_research.tasks.watching import PADDING, Outputs, Watched, WatchedExample, choose_examples
from qa_research.text import plural

# What a token belongs to; recordings store indices.
PARTS = (PADDING, "cls", "question", "sep", "context")
# Of logits, losses and head weights.
ROWS = ("start", "end")
# What a batch of windows has besides the network's inputs.
_BESIDES = {"start_positions", "end_positions", "window"}
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")


@dataclass(frozen=True, kw_only=True)
class WatchedQuestions(Watched):
    """Questions with one window each: the first that holds the answer, or else the first of all.

    `windows`: all of these questions, with the `indices` of those that are watched, and their `texts`.
    `matching` [question token]: see `_matching`. `settings`: how answers are chosen.
    """

    questions: tuple[Question, ...]
    windows: Windows
    indices: tuple[int, ...]
    texts: tuple[TokenText, ...]
    matching: NDArray[np.bool_]
    settings: AnswerSettings

    @property
    def spans(self) -> Int[Tensor, "question row"]:
        """First and last token of the first gold answer; both 0, [CLS], if there is none."""
        return self.outputs.true

    @property
    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """The window's parts, the answer, and the matching words of each text."""
        parts = self.parts
        # In the order of recordings.
        found = {
            name: np.asarray(parts == PARTS.index(name))
            for name in ("cls", "sep", "question", "context")
        }
        return found | {
            "answer": self.marked,
            "match_question": self.matching & found["question"],
            "match_context": self.matching & found["context"],
        }


def choose_questions(
    request: int | str | Sequence[str | int],
    train: Sequence[Question],
    validation: Sequence[Question],
    seed: int,
) -> list[tuple[str, Question]]:
    """(split, question) for a number, ids, or a file (of ids if it ends in .txt, else of questions).

    Raises:
        ValueError: an id that is not in the data, more questions than there are, or an unusable file.
    """
    splits = {"train": train, "validation": validation}
    if train is validation:
        splits.pop("validation")
    return choose_examples(request, splits, seed, _of_file, "question")


def _of_file(path: str) -> list[Question]:
    questions = read_questions(path, "capture.questions")
    if bad := find_bad_rows(questions):
        raise ValueError(
            f"capture.questions={path} has {plural(len(bad), 'unusable question')}: "
            f"{describe_bad_rows(bad, 5)}"
        )
    return questions


def watched_windows(
    chosen: Sequence[tuple[str, Question]],
    tokenizer: Any,
    max_tokens: int,
    stride_tokens: int,
    settings: AnswerSettings,
) -> WatchedQuestions:
    """The chosen questions as one batch."""
    questions = tuple(row for _, row in chosen)
    windows = make_windows(questions, tokenizer, max_tokens, stride_tokens)
    indices = []
    for number in range(len(questions)):
        own = np.flatnonzero(windows.question == number)
        holding = own[windows.span_last[own] > 0]
        indices.append(int((holding if len(holding) else own)[0]))
    batch = padded_batch(windows, indices, int(tokenizer.pad_token_id))
    spans = torch.stack([batch["start_positions"], batch["end_positions"]], dim=1)
    matching = np.zeros(tuple(batch["input_ids"].shape), dtype=bool)
    texts, examples = [], []
    for i, (index, (split, question)) in enumerate(zip(indices, chosen, strict=True)):
        text = windows.text(index, question.context, tokenizer)
        texts.append(text)
        examples.append(_example(split, question, text, *spans[i].tolist()))
        ids = batch["input_ids"][i, : len(text)].tolist()
        known = [-1 if token == tokenizer.unk_token_id else token for token in ids]
        matching[i, : len(text)] = _matching(known, text, question)
    return WatchedQuestions(
        examples=tuple(examples),
        inputs={name: values for name, values in batch.items() if name not in _BESIDES},
        mask=batch["attention_mask"].bool(),
        part_names=PARTS,
        outputs=Outputs("spans", ROWS, spans, _scores),
        marked_as="answer",
        questions=questions,
        windows=windows,
        indices=tuple(indices),
        texts=tuple(texts),
        matching=matching,
        settings=settings,
    )


def _example(
    split: str, question: Question, text: TokenText, first: int, last: int
) -> WatchedExample:
    return WatchedExample(
        id=question.id,
        split=split,
        kind=question.kind,
        title=question.title,
        heading=question.question,
        text=question.context,
        truths=tuple(gold.text for gold in question.answers),
        tokens=text.tokens,
        parts=text.parts,
        chars=text.chars,
        # (0, 0) is "no answer".
        marked=tuple(range(first, last + 1)) if last else (),
    )


def _scores(output: Any) -> Tensor:
    return torch.stack([output.start_logits, output.end_logits], dim=1)


def _matching(ids: Sequence[int], text: TokenText, question: Question) -> NDArray[np.bool_]:
    """[token]: the words by which the question picks out its fact, in the question and in the context.

    Of the words that the question shares with the sentence of the answer (outside the answer itself), those
    that the fewest other sentences contain. `ids`: -1 for an unknown word, which matches nothing.

    Example: "Who leads chess?", and "Dr Obi leads rowing. Ms Lund leads chess. Zeb leads judo." The
    sentence of the answer, Ms Lund, shares "leads" and "chess" with the question. Two other sentences have
    "leads", none has "chess": so "chess" matches, once in the question and once in the context.
    """
    found = np.zeros(len(ids), dtype=bool)
    if not question.answers:
        return found
    gold = question.answers[0]
    starts = np.array([start for start, _ in text.chars])
    ends = [match.end() for match in _SENTENCE_END.finditer(question.context)]
    sentence = np.searchsorted(ends, starts, side="right")
    own_sentence = int(np.searchsorted(ends, gold.start, side="right"))
    is_answer = (starts >= gold.start) & (starts < gold.start + len(gold.text))
    is_context = np.array([part == "context" for part in text.parts])
    is_question = np.array([part == "question" for part in text.parts])
    candidates = is_context & (sentence == own_sentence) & ~is_answer
    asked = {token for token, here in zip(ids, is_question, strict=True) if here and token >= 0}
    shared = asked & {token for token, here in zip(ids, candidates, strict=True) if here}
    if not shared:
        return found
    # A word counts once for each other sentence that has it.
    pairs = {
        (token, s)
        for token, s, here in zip(ids, sentence, is_context, strict=True)
        if here and s != own_sentence
    }
    elsewhere = Counter(token for token, _ in pairs)
    fewest = min(elsewhere[token] for token in shared)
    rarest = [token for token in shared if elsewhere[token] == fewest]
    found |= np.isin(ids, rarest) & (candidates | is_question)
    return found
