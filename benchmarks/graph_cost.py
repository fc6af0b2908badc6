"""How long the graph of a network takes, which a training draws before its first step.

    python benchmarks/graph_cost.py

Networks of random weights, of the sizes of that of `python train.py`, MiniLM, BERT-base and ModernBERT.
Seconds of processor time, one thread, median of three: to trace it for architecture.json (torchview), and to
write it for TensorBoard, from one window of 54 tokens, as many as built-in questions have on average.
"""

import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    ModernBertConfig,
    ModernBertForQuestionAnswering,
    PreTrainedModel,
)

from qa_research.model.tracing import traced
from qa_research.text import aligned, print_line
from qa_research.trackers.tensorboard import TensorBoardTracker
from qa_research.trackers.tracker import TrackedRun

TOKENS, TIMES = 54, 3
HEADER = ("network", "layers", "parameters", "architecture.json", "TensorBoard")


def bert(layers: int, width: int, heads: int, vocabulary: int) -> PreTrainedModel:
    """A BERT whose feed-forward networks are four times as wide as its layers."""
    return BertForQuestionAnswering(
        BertConfig(
            vocab_size=vocabulary,
            num_hidden_layers=layers,
            hidden_size=width,
            num_attention_heads=heads,
            intermediate_size=4 * width,
        )
    )


# The vocabulary of the first is made from the built-in questions, those of the others are pretrained ones.
NETWORKS: dict[str, Callable[[], PreTrainedModel]] = {
    "python train.py": lambda: bert(2, 128, 2, 707),
    "MiniLM": lambda: bert(6, 384, 12, 30_522),
    "BERT-base": lambda: bert(12, 768, 12, 30_522),
    "ModernBERT": lambda: ModernBertForQuestionAnswering(ModernBertConfig()),
}


def seconds(work: Callable[[], object]) -> str:
    """The median of the processor's time, which other work on the machine lengthens little, as `0.12 s`."""
    taken = []
    for _ in range(TIMES):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return f"{median(taken):.2f} s"


def drawn(network: PreTrainedModel) -> None:
    """Write the graph as a training's TensorBoard logger does."""
    ids = torch.ones((1, TOKENS), dtype=torch.long)
    with tempfile.TemporaryDirectory() as folder:
        tracker = TensorBoardTracker(graph=True)
        tracker.start(TrackedRun("measured", "measured", Path(folder), {}, 0, ()))
        tracker.graph(network, {"input_ids": ids, "attention_mask": ids})
        tracker.finish(None, 0)


def main() -> None:
    """Measure each network, and print the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = [HEADER]
    for name, make in NETWORKS.items():
        network = make().eval()
        layers = network.config.num_hidden_layers
        rows.append(
            (
                name,
                str(layers),
                f"{network.num_parameters():,}",
                seconds(partial(traced, network)),
                seconds(partial(drawn, network)),
            )
        )
    print_line("\n".join(aligned(rows, right={1, 2, 3, 4})))


if __name__ == "__main__":
    main()
