"""Pairs of texts asked of a network that chooses a label for each."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from transformers import PreTrainedModel

from qa_research.console import tracked
from qa_research.model.bert import input_names
from qa_research.model.tokenizer import encode_pairs
from qa_research.tasks.batches import batches_of_tokens
from qa_research.tasks.dividing import linked
from qa_research.tasks.opened import OnTruth, TruthOf

# Per batch, padding included; see answering.logits.
MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}


class LabelledTexts(Protocol):
    """A pair of texts; `label`: its number, or None if nobody said it."""

    @property
    def id(self) -> str: ...
    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def label(self) -> int | None: ...


def logits_of(
    network: PreTrainedModel,
    tokenizer: Any,
    firsts: Sequence[str],
    seconds: Sequence[str],
    max_tokens: int,
) -> NDArray[np.float64]:
    """[pair label], in order, of a network in eval mode. Shows progress if there are many."""
    encoded = encode_pairs(tokenizer, firsts, seconds, max_tokens)
    names = input_names(network)
    found = np.zeros((len(firsts), network.config.num_labels))
    with torch.inference_mode():
        batches = batches_of_tokens(encoded.lengths, MOST_TOKENS[network.device.type])
        for places in tracked(batches, "Asking"):
            batch = encoded.padded(places, int(tokenizer.pad_token_id))
            inputs = {name: batch[name].to(network.device) for name in names & batch.keys()}
            found[places] = network(**inputs).logits.cpu().numpy()
    return found


def truth_of_labels(examples: Sequence[LabelledTexts], tokenizer: Any, max_tokens: int) -> TruthOf:
    """What measures how probable a network finds the label of each pair, of at most so many tokens.

    Raises:
        ValueError: nobody said the label of some.
    """
    if unlabelled := [pair.id for pair in examples if pair.label is None]:
        raise ValueError(f"pair {unlabelled[0]} has no label in the data")
    texts = [(pair.first, pair.second) for pair in examples]
    firsts, seconds = [first for first, _ in texts], [second for _, second in texts]
    labels = np.array([pair.label for pair in examples], dtype=np.int64)
    group = np.array(linked(texts))

    def measure(network: Any) -> OnTruth:
        logits = logits_of(network, tokenizer, firsts, seconds, max_tokens)
        chances = softmax(logits, axis=1)[np.arange(len(labels)), labels]
        return OnTruth(chances, logits.argmax(axis=1) == labels, group)

    return measure
