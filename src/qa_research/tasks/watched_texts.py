"""Watched examples that are two texts with a label, as one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qa_research.model.bert import input_names
from qa_research.model.tokenizer import encode_pairs, off_token
from qa_research.tasks.watching import PADDING, Outputs, Watched, WatchedExample, read_texts


@dataclass(frozen=True)
class LabelledPair:
    """A watched pair of texts; `label`: the index of the right one of the labels, None if nobody knows."""

    id: str
    split: str
    kind: str
    first: str
    second: str
    label: int | None


def watched_pairs(
    pairs: Sequence[LabelledPair],
    labels: tuple[str, ...],
    parts: tuple[str, str],
    tokenizer: Any,
    max_tokens: int,
    network: Any,
) -> Watched:
    """Pairs as one batch; `parts`: what the two texts are called."""
    encoded = encode_pairs(
        tokenizer, [pair.first for pair in pairs], [pair.second for pair in pairs], max_tokens
    )
    batch = encoded.padded(range(len(pairs)), int(tokenizer.pad_token_id))
    return Watched(
        examples=tuple(
            _example(pair, labels, parts, encoding)
            for pair, encoding in zip(pairs, encoded.encodings, strict=True)
        ),
        inputs={name: batch[name] for name in sorted(input_names(network) & batch.keys())},
        mask=batch["attention_mask"].bool(),
        part_names=(PADDING, "cls", "sep", *parts),
        outputs=Outputs(
            "labels", labels, torch.tensor([pair.label or 0 for pair in pairs]), _logits
        ),
        off=off_token(tokenizer),
    )


def _example(
    pair: LabelledPair, labels: Sequence[str], names: tuple[str, str], encoding: Any
) -> WatchedExample:
    read = read_texts(encoding, (pair.first, pair.second), names)
    return WatchedExample(
        id=pair.id,
        split=pair.split,
        kind=pair.kind,
        title="",
        heading=f"{pair.first} | {pair.second}",
        text=read.text,
        truths=() if pair.label is None else (labels[pair.label],),
        tokens=read.tokens,
        parts=read.parts,
        chars=read.chars,
        words=read.words,
    )


def _logits(output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits
