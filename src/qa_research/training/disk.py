"""Whether the disk has room for what a training will write: asked before it begins."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from qa_research.console import readable_size
from qa_research.runs.anchors import anchors_of
from qa_research.text import plural
from qa_research.training.anchors import TENSORS_PER_STATE, anchors_within
from qa_research.training.best import weights_bytes
from qa_research.training.kept import FEWEST, how_many

log = logging.getLogger(__name__)
# last.ckpt, previous.ckpt and the one being written; best.ckpt, its successor, and the final weights.
STATES, WEIGHTS = 3, 3


def check_disk(directory: Path, network: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Log how much room the checkpoints need at most, and which steps are kept.

    Example: 1 MB of weights needs 3 states of 3 MB and 3 files of weights, 12 MB, and 10 MB for ten steps;
    with room for 6 MB of anchors, there are two of 3 MB.

    Raises:
        OSError: less is free.
    """
    weights = weights_bytes(network)
    state = weights * TENSORS_PER_STATE
    every, budget = checkpoint["keep_every_n_steps"], checkpoint["keep_weights_mb"]
    count = 0 if every else how_many(weights, budget)
    anchors_every = checkpoint["anchors_every_n_steps"]
    anchors = 0 if anchors_every else anchors_within(state, checkpoint["anchors_mb"])
    place = directory
    while not place.exists():
        place = place.parent
    # A resumed run replaces its last, previous and best.ckpt, but not those of every n-th step.
    replaced = "*.ckpt" if count else "[!s]*.ckpt"
    present = sum(p.stat().st_size for p in (directory / "checkpoints").glob(replaced))
    # While one is dropped for the next, there is one more.
    needed = max(STATES * state + weights * (WEIGHTS + (count + 1 if count else 0)) - present, 0)
    kept = sum(anchor.path.stat().st_size for anchor in anchors_of(directory)) if anchors else 0
    for_anchors = max(anchors * state - kept, 0)
    free = shutil.disk_usage(place).free
    need, room = readable_size(needed + for_anchors), readable_size(free)
    of_it = []
    if count:
        of_it.append(f"{readable_size(count * weights)} of it for the weights of {count} steps")
    if anchors:
        of_it.append(f"{readable_size(anchors * state)} for {plural(anchors, 'saved state')}")
    more = [
        f"{readable_size(size)} more every {steps} steps"
        for size, steps in ((weights, every), (state, anchors_every))
        if steps
    ]
    said = "".join(f", {one}" for one in of_it) + (f", and {' and '.join(more)}" if more else "")
    if budget and not every and not count:
        said += (
            f" (the weights of single steps are not kept: {FEWEST} of {readable_size(weights)} are more than "
            f"checkpoint.keep_weights_mb={budget:g})"
        )
    log.info("Disk: the checkpoints need up to %s%s; %s are free", need, said, room)
    if needed + for_anchors > free:
        without = (
            f", or checkpoint.anchors_mb=null, which saves {readable_size(for_anchors)}"
            if for_anchors
            else ""
        )
        raise OSError(
            f"the checkpoints need up to {need} and only {room} are free in {place}; choose another "
            f"place with paths.runs=DIR{without}"
        )
