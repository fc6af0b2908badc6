"""What the task loses when directions are taken out of a layer's output."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qa_research.capture.forward import forward_watched
from qa_research.capture.sites import Site
from qa_research.probe.erasure import Eraser, erased
from qa_research.tasks.opened import Opened
from qa_research.tasks.watching import Watched, losses_of


@dataclass(frozen=True)
class Cost:
    """How the task goes: `loss`, the mean of all examples (nats; of a number squared); `right`, in percent,
    or None where no answer is right or wrong.
    """

    loss: float
    right: float | None


def cost_of(
    opened: Opened[Any],
    rows: Sequence[Any],
    watched: Sequence[Watched],
    site: Site,
    eraser: Eraser | None,
) -> Cost:
    """The task's own score and loss on some examples, with the eraser at a site; None: as it is."""
    with nullcontext() if eraser is None else erased(opened.network, site, eraser):
        found = [
            losses_of(forward_watched(opened.network, batch, 0).scores, batch) for batch in watched
        ]
        right = None
        if opened.right is not None:
            right = 100 * float(np.mean([float(row[opened.right]) for row in opened.rows(rows)]))
    return Cost(float(torch.cat(found).mean()), right)
