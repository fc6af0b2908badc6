"""Learning-rate schedules: pure functions of the step."""

import math
from typing import Literal

Decay = Literal["linear", "cosine", "constant"]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int, decay: Decay) -> float:
    """Fraction of the peak learning rate at `step`, in [0, 1].

    Rises linearly to 1 at `warmup_steps`, then falls to 0 at `total_steps`, linearly or along half a
    cosine, and is 0 after that; `constant` stays at 1. With 10 warm-up steps of 110 and `linear`: 0.5 at
    step 5, 1 at 10, 0.75 at 35, 0 at 110.

    Raises:
        ValueError: the warm-up does not end before the run does.
    Source: Devlin et al. 2019, BERT, appendix A.2; Loshchilov & Hutter 2017, SGDR, for the cosine.
    """
    if warmup_steps >= total_steps:
        raise ValueError(
            f"the warm-up takes {warmup_steps} of {total_steps} steps; lower model.warmup_fraction "
            "or train for longer"
        )
    if step < warmup_steps:
        return step / warmup_steps
    if decay == "constant":
        return 1.0
    done = min((step - warmup_steps) / (total_steps - warmup_steps), 1.0)
    return 1.0 - done if decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
