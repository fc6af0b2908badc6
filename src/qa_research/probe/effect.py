"""What the task loses when directions are taken out of a layer's output."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qa_research.capture.forward import forward_watched
from qa_research.capture.sites import Site
from qa_research.probe.erasure import Eraser, erased
from qa_research.tasks.opened import Opened
from qa_research.tasks.watching import Watched, losses


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
        found = [losses_of(opened, batch) for batch in watched]
        right = None
        if opened.right is not None:
            right = 100 * float(np.mean([float(row[opened.right]) for row in opened.rows(rows)]))
    return Cost(float(torch.cat(found).mean()), right)


def losses_of(opened: Opened[Any], watched: Watched) -> Tensor:
    """The loss of each example: of a span the mean of its start's and its end's cross entropy, in nats."""
    scores, outputs = forward_watched(opened.network, watched, 0).scores, watched.outputs
    if outputs.kind != "spans":
        return losses(scores, outputs)
    allowed = scores.masked_fill(~watched.mask[:, None, :], -torch.inf)
    logs = torch.log_softmax(allowed, dim=-1)
    own: Tensor = -logs.gather(2, outputs.true[:, :, None])[:, :, 0].mean(dim=1)
    return own
