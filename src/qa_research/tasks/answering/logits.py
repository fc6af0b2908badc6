"""Start and end logits of many windows, batch by batch, of a network that is only asked."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from qa_research.console import tracked
from qa_research.model.bert import input_names
from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.windows import Windows
from qa_research.tasks.batches import batches_of_tokens

# Per batch, padding included. About 2,000 tokens stay in a CPU's caches; the best for a GPU was not measured.
MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
LABELS = {"start_positions", "end_positions"}


def logits_of(
    network: Any, windows: Windows, pad_token_id: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Windows of like lengths by number, and their start and end logits [window token], on the CPU.

    Every window is in one batch. `network` is in eval mode. Shows progress if there are many.
    """
    batches = batches_of_tokens(windows.lengths, MOST_TOKENS[network.device.type])
    names = input_names(network)
    for indices in tracked(batches, "Answering"):
        batch = padded_batch(windows, indices, pad_token_id)
        inputs = {name: batch[name].to(network.device) for name in names & batch.keys() - LABELS}
        with torch.inference_mode():
            output = network(**inputs)
        yield indices, output.start_logits.cpu(), output.end_logits.cpu()
