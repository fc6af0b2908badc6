"""How much room a training takes on the disk, said before it begins."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from qa_research.console import readable_size

log = logging.getLogger(__name__)
# Weights and the two moments of AdamW.
TENSORS_A_STATE = 3
# last.ckpt, previous.ckpt and the one being written; best.ckpt, its successor, and the final weights.
STATES, WEIGHTS = 3, 3


def check_disk(directory: Path, network: PreTrainedModel, checkpoint: Mapping[str, Any]) -> None:
    """Say what the checkpoints need at most.

    Raises:
        OSError: so much is not free.
    """
    weights = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    needed = weights * (STATES * TENSORS_A_STATE + WEIGHTS)
    place = directory
    while not place.exists():
        place = place.parent
    # What lies there already is replaced.
    there = sum(p.stat().st_size for p in (directory / "checkpoints").glob("[!s]*.ckpt"))
    needed = max(needed - there, 0)
    free = shutil.disk_usage(place).free
    every = checkpoint["keep_every_n_steps"]
    more = f", and {readable_size(weights)} more every {every} steps" if every else ""
    need, room = readable_size(needed), readable_size(free)
    log.info("Disk: the checkpoints need up to %s%s; %s are free", need, more, room)
    if needed > free:
        raise OSError(
            f"the checkpoints need up to {need} and only {room} are free in {place}; paths.runs=DIR "
            "names another place"
        )
