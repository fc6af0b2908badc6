"""Networks that say one thing of an example, and watched examples for them: a label of a pair, and a number
of a sequence whose planted letters decide.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from qa_research.capture.forward import attention_weights, forward_watched
from qa_research.capture.recorders.recorder import Recorder, Subject, coordinates_of
from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from qa_research.capture.watched import describe
from qa_research.model.places import Places
from qa_research.model.tokenizer import Off, off_token
from qa_research.tasks.watching import (
    PADDING,
    PREDICTION,
    Outputs,
    Watched,
    WatchedExample,
    Watching,
    losses,
    read_texts,
)

LABELS = ("different", "same")
PAIRS = [
    ("Ms Lund teaches chess.", "Chess is taught by Ms Lund.", 1),
    ("Judo is on Monday.", "Dr Obi teaches chess on Friday.", 0),
    ("Who teaches chess?", "Who teaches judo on Monday?", 0),
]
MOTIF = "gattaca"
PAD = 5


def watched_pairs(tokenizer) -> Watched:
    """Three pairs of sentences, of different lengths."""
    examples, encodings = [], []
    for i, (first, second, label) in enumerate(PAIRS):
        encoding = tokenizer(first, second).encodings[0]
        read = read_texts(encoding, (first, second), ("first", "second"))
        encodings.append(encoding)
        examples.append(
            WatchedExample(
                id=f"pair-{i}",
                split="train" if i else "validation",
                kind="swapped",
                title="",
                heading=f"{first} / {second}",
                text=read.text,
                truths=(LABELS[label],),
                tokens=read.tokens,
                parts=read.parts,
                chars=read.chars,
                words=read.words,
            )
        )
    padded = tokenizer.pad(
        {
            "input_ids": [one.ids for one in encodings],
            "token_type_ids": [one.type_ids for one in encodings],
        },
        return_tensors="pt",
    )
    labels = torch.tensor([label for *_, label in PAIRS])
    return Watched(
        examples=tuple(examples),
        inputs=dict(padded),
        mask=padded["attention_mask"].bool(),
        part_names=(PADDING, "cls", "first", "sep", "second"),
        outputs=Outputs("labels", LABELS, labels, lambda output: output.logits),
        off=off_token(tokenizer),
    )


def pair_network(vocab_size: int) -> BertForSequenceClassification:
    """A BERT of two layers with a classifier of two labels."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=vocab_size,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.4,
        num_labels=2,
        **sizes,
    )
    return BertForSequenceClassification(config)


class Attending(nn.Module):
    """Attention of two heads, and a sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = attention_weights(self.query(x), self.key(x), mask, 2)
        value = self.value(x).unflatten(2, (2, -1)).transpose(1, 2)
        return x + self.out((weights @ value).transpose(1, 2).flatten(2))


class Letters(nn.Module):
    """A network of our own: letters and positions, attention, and the mean over what is not padding."""

    def __init__(self, width: int = 16, longest: int = 40) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.letter, self.position = nn.Embedding(6, width), nn.Embedding(longest, width)
        self.embed = nn.Sequential(nn.Identity())
        self.layers = nn.ModuleList([Attending(width)])
        self.head = nn.Linear(width, 1)
        self.places = Places(
            head="head",
            embeddings="embed",
            stem="layers",
            layers=1,
            heads=2,
            hidden_size=width,
            sites={
                "query": ("query", "output"),
                "key": ("key", "output"),
                "context": ("out", "input"),
                "layer_output": ("", "output"),
            },
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.embed(self.letter(input_ids) + self.position.weight[: input_ids.shape[1]])
        mask = attention_mask.bool()
        for layer in self.layers:
            x = layer(x, mask)
        weight = mask[:, :, None].float()
        return self.head((x * weight).sum(dim=1) / weight.sum(dim=1))


def watched_letters(count: int = 3, seed: int = 0) -> Watched:
    """Sequences of 20 to 30 letters; the number is 1 with the motif and -1 without it."""
    rng = np.random.default_rng(seed)
    texts, marks = [], []
    for i in range(count):
        letters = rng.choice(list("acgt"), size=20 + 10 * i % 11).tolist()
        start = int(rng.integers(0, len(letters) - len(MOTIF)))
        marks.append(tuple(range(start, start + len(MOTIF))) if i % 2 == 0 else ())
        if marks[-1]:
            letters[start : start + len(MOTIF)] = MOTIF
        texts.append("".join(letters))
    most = max(map(len, texts))
    ids = torch.full((count, most), PAD)
    for i, text in enumerate(texts):
        ids[i, : len(text)] = torch.tensor(["acgtn".index(letter) for letter in text])
    examples = [
        WatchedExample(
            id=f"s{i}",
            split="validation" if i == 0 else "train",
            kind="",
            title="",
            heading=text,
            text=text,
            truths=("1" if marks[i] else "-1",),
            tokens=tuple(text),
            parts=("letter",) * len(text),
            chars=tuple((place, place + 1) for place in range(len(text))),
            marked=marks[i],
        )
        for i, text in enumerate(texts)
    ]
    true = torch.tensor([1.0 if mark else -1.0 for mark in marks])
    mask = ids != PAD
    return Watched(
        examples=tuple(examples),
        inputs={"input_ids": ids, "attention_mask": mask.long()},
        mask=mask,
        part_names=(PADDING, "letter"),
        outputs=Outputs("number", (PREDICTION,), true, lambda output: output),
        marked_as="motif",
        off=Off(4, "n", None),
    )


def subject_of(network: nn.Module, watched: Watched) -> Subject:
    return Subject(network, Watching(watched, watched.mask.shape[1], 4, False), is_scaled=False)


def record_training(
    network: nn.Module,
    watched: Watched,
    recorders: dict[str, Recorder],
    path: Path,
    steps: int = 20,
) -> Recording:
    """A recording of a short training on the watched examples themselves, every fourth step of it."""
    subject = subject_of(network, watched)
    for name, recorder in recorders.items():
        recorder.check_task(f"capture.{name}", subject)
        recorder.prepare(f"capture.{name}", subject)
    sites = [site for recorder in recorders.values() for site in recorder.sites]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    writer = None
    for step in range(steps + 1):
        if step % 4 == 0:
            forward = forward_watched(network, watched, step, sites)
            captured = {name: one.record(forward) for name, one in recorders.items()}
            if writer is None:
                coordinates = coordinates_of(recorders, watched, captured)
                writer = RecordingWriter(path, describe(watched), coordinates)
            writer.append(step, captured)
        network.train()
        optimizer.zero_grad()
        losses(watched.outputs.read(network(**watched.inputs)), watched.outputs).mean().backward()
        optimizer.step()
    writer.sync()
    return Recording(path)
