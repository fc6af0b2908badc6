"""Pairs of texts asked of a network that chooses a label for each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from qa_research.console import tracked
from qa_research.model.bert import input_names
from qa_research.model.tokenizer import encode_pairs
from qa_research.tasks.batches import batches_of_tokens

# Per batch, padding included; see answering.logits.
MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}


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
