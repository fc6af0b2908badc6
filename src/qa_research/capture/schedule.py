"""At which optimizer steps a capture is due, and what a budget leaves out of them. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MB = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Steps at which a capture is due, 0 and the last always among them; `sentence`: what was left out."""

    steps: frozenset[int]
    sentence: str | None


def planned_steps(
    every_n_steps: int, at_steps: Sequence[int] | None, log_spaced: int | None, total: int
) -> list[int]:
    """The steps that are asked for, of a training of `total` steps.

    Raises:
        ValueError: a chosen step outside the training.
    """
    if at_steps is not None:
        for step in at_steps:
            if not 0 <= step <= total:
                raise ValueError(
                    f"capture.at_steps has {step}; this training has the steps 0 to {total}"
                )
        wanted = set(at_steps)
    elif log_spaced is not None:
        wanted = {round(step) for step in np.geomspace(1, total, log_spaced)} if total else set()
    else:
        wanted = set(range(0, total, every_n_steps))
    return sorted(wanted | {0, total})


def within_budget(steps: Sequence[int], bytes_each: int, max_mb: float | None) -> Plan:
    """One in 2, 4, 8 ... of the planned steps, as far as `max_mb` (before compression) asks for.

    Raises:
        ValueError: it is too small for the first and the last capture.
    """
    if max_mb is None or bytes_each * len(steps) <= max_mb * MB:
        return Plan(frozenset(steps), None)
    each = bytes_each / MB
    least = min(2, len(steps))
    if least * each > max_mb:
        raise ValueError(
            f"capture.max_mb={max_mb:g} is too small for {'one capture' if least == 1 else 'two captures'}, "
            f"the first and the last: each takes {each:.2f} MB; record less (capture/recorders=[logits], "
            "capture.attention.layers=[-1], capture.questions=1), or give it more"
        )
    stride = 1
    while (len(steps[::stride]) + 1) * each > max_mb and stride < len(steps):
        stride = 2 * stride
    kept = frozenset([*steps[::stride], steps[-1]])
    sentence = (
        f"capture.max_mb={max_mb:g} holds {math.floor(max_mb / each)} of {len(steps)} captures of "
        f"{each:.2f} MB: one in {stride} is made, {len(kept)} in all"
    )
    return Plan(kept, sentence)
