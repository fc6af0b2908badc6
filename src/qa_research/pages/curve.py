"""A small curve, as the path of an SVG."""

import numpy as np
from numpy.typing import NDArray

# In pixels: the curve, and the room at its edges for half of the line.
WIDTH, HEIGHT, EDGE = 120, 28, 2


def curve_path(steps: NDArray[np.int64], values: NDArray[np.float64]) -> str:
    """A line over the steps, to scale, from 0 (below) to 1 (above); interrupted where a value is no number.

    Two values 0 and 1 at steps 0 and 50: `M2.0 26.0L118.0 2.0`.
    """
    span = max(int(steps[-1] - steps[0]), 1)
    across = EDGE + (steps - steps[0]) / span * (WIDTH - 2 * EDGE)
    down = HEIGHT - EDGE - values * (HEIGHT - 2 * EDGE)
    path, pen = "", "M"
    for x, y in zip(across, down, strict=True):
        if np.isfinite(y):
            path += f"{pen}{x:.1f} {y:.1f}"
        pen = "L" if np.isfinite(y) else "M"
    return path
