"""How much room a training takes on the disk, said before it begins."""

import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

log = logging.getLogger(__name__)
# Weights and the two moments of AdamW.
TENSORS_A_STATE = 3
# last.ckpt, previous.ckpt and the one being written; best.ckpt, its successor, and the final weights.
STATES, WEIGHTS = 3, 3
UNITS = ("B", "kB", "MB", "GB", "TB")


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
    free = shutil.disk_usage(place).free
    every = checkpoint["keep_every_n_steps"]
    more = f", and {size(weights)} more every {every} steps" if every else ""
    log.info("Disk: the checkpoints need up to %s%s; %s are free", size(needed), more, size(free))
    if needed > free:
        raise OSError(
            f"the checkpoints need up to {size(needed)} and only {size(free)} are free in {place}; "
            "paths.runs=DIR names another place"
        )


def size(count: float) -> str:
    """Bytes as people write them: `1.2 GB`."""
    power = min(int(math.log10(max(count, 1))) // 3, len(UNITS) - 1)
    value = count / 1000**power
    return f"{value:.{0 if power == 0 or value >= 100 else 1}f} {UNITS[power]}"
