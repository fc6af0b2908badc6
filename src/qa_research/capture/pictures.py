"""Pictures for TensorBoard: arrays -> pixels, faster than a figure can be drawn."""

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

GAP = 4
# From white over blue to nearly black, so that dark means much on paper and on the screen.
_COLOURS = np.array([[255, 255, 255], [107, 174, 214], [8, 48, 107]], dtype=np.float32)


def mosaic(
    maps: Float[np.ndarray, "row column height width"],
) -> UInt8[np.ndarray, "y x channel"]:
    """Maps of values between 0 and 1 beside and below each other; what is NaN in all of them is cut off."""
    seen = ~np.isnan(maps).all(axis=(0, 1))
    height, width = (int(seen.any(axis=axis).sum()) for axis in (1, 0))
    kept = np.nan_to_num(maps[:, :, : max(height, 1), : max(width, 1)])
    rows, columns, height, width = kept.shape
    picture = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 200, dtype=np.uint8
    )
    for row in range(rows):
        for column in range(columns):
            y, x = row * (height + GAP), column * (width + GAP)
            picture[y : y + height, x : x + width] = _coloured(kept[row, column])
    return picture


def _coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    place = np.sqrt(values.clip(0, 1)) * (len(_COLOURS) - 1)
    channels = [np.interp(place, range(len(_COLOURS)), channel) for channel in _COLOURS.T]
    return np.stack(channels, axis=-1).astype(np.uint8)
