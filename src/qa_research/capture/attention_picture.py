"""A picture of one layer's attention over one window: a map for each head, with its tokens along both axes.

Drawn with Pillow: matplotlib would take most of a capture's time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.font_manager import FontProperties, findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qa_research.figures.panels import CORRECT, drawable

# From white over blue to nearly black.
SCALE = np.array([[255, 255, 255], [107, 174, 214], [8, 48, 107]], dtype=np.float32)
# Pixels: the size of text, what a line of it needs, what is left between maps.
TEXT, LINE, GAP = 9, 10, 14
# In a window of so many tokens each has a line. Maps of longer ones are at least so many pixels wide.
ALL_LABELLED, NARROWEST = 64, 420
COLUMNS = 4
LONGEST_TEXT = 16
INK, TRUE, FRAME = "#222222", CORRECT, "#999999"
KEY = (
    "rows: from the token (query); columns: to the token (key); darkest: all of a query's attention"
)


@dataclass(frozen=True)
class Tokens:
    """A window's axis: its tokens' texts, those that carry the truth, the first token of its last text."""

    texts: Sequence[str]
    marked: frozenset[int]
    context_first: int

    def is_true(self, index: int) -> bool:
        """Whether a token carries the truth, such as one of the true answer."""
        return index in self.marked


class AttentionPicture:
    """One layer's heads as a grid of named maps; tokens stand at the left and lower edge of the grid.

    All but the maps is drawn once, when it is made, as the window stays the same over a training. Colour
    follows the square root of the weight, which makes small ones visible: 0.04 has the colour at 0.2 of the
    scale. A true answer's tokens are green, a line divides question and context. Where not all texts fit,
    those of the answer, the special tokens and every n-th one stand there. `title`: above all maps.
    """

    def __init__(self, heads: int, tokens: Tokens, layer: int, title: str) -> None:
        n = len(tokens.texts)
        self.tokens = tokens
        self.cell = LINE if n <= ALL_LABELLED else -(-NARROWEST // n)
        self.corners: list[tuple[int, int]] = []
        columns = min(COLUMNS, heads)
        rows = -(-heads // columns)
        side = n * self.cell
        margin = max(_width(_shortened(text)) for text in tokens.texts) + 8
        head = 2 * LINE + 8
        width = margin + columns * (side + GAP)
        height = head + rows * (side + LINE + GAP) + margin + LINE
        self.empty = Image.new("RGB", (max(width, _width(KEY) + 12), height), "white")
        draw = ImageDraw.Draw(self.empty)
        _write(draw, (6, 4), _fitted(title, self.empty.width - 12))
        for index in range(heads):
            row, column = divmod(index, columns)
            left = margin + column * (side + GAP)
            top = head + row * (side + LINE + GAP) + LINE
            self.corners.append((left, top))
            _write(draw, (left, top - LINE - 1), f"layer {layer} head {index}")
            if column == 0:
                _label_rows(draw, tokens, (left, top), self.cell)
            if index + columns >= heads:
                _label_columns(self.empty, tokens, (left, top + side), self.cell)
        _write(draw, (6, height - LINE - 2), KEY)

    def of(self, maps: Float[np.ndarray, "head query key"]) -> UInt8[np.ndarray, "y x channel"]:
        """The picture with these maps."""
        picture = self.empty.copy()
        draw = ImageDraw.Draw(picture)
        for weights, corner in zip(maps, self.corners, strict=True):
            _paste(picture, draw, weights, corner, self.cell, self.tokens)
        return np.asarray(picture)


def _paste(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    weights: NDArray[np.floating[Any]],
    corner: tuple[int, int],
    cell: int,
    tokens: Tokens,
) -> None:
    """One map, its frame, and the lines between question and context."""
    (left, top), side = corner, len(weights) * cell
    pixels = Image.fromarray(_coloured(weights))
    picture.paste(pixels.resize((side, side), Image.Resampling.NEAREST), corner)
    draw.rectangle((left - 1, top - 1, left + side, top + side), outline=FRAME)
    at = tokens.context_first * cell
    draw.line((left + at, top, left + at, top + side), fill=FRAME)
    draw.line((left, top + at, left + side, top + at), fill=FRAME)


def _label_rows(
    draw: ImageDraw.ImageDraw, tokens: Tokens, corner: tuple[int, int], cell: int
) -> None:
    left, top = corner
    for index, text in _labels(tokens, cell):
        middle = top + index * cell + cell // 2
        place = (left - _width(text) - 4, middle - LINE // 2 - 1)
        _write(draw, place, text, TRUE if tokens.is_true(index) else INK)


def _label_columns(
    picture: Image.Image, tokens: Tokens, corner: tuple[int, int], cell: int
) -> None:
    left, top = corner
    for index, text in _labels(tokens, cell):
        upright = Image.new("RGB", (_width(text), LINE), "white")
        colour = TRUE if tokens.is_true(index) else INK
        _write(ImageDraw.Draw(upright), (0, -1), text, colour)
        turned = upright.rotate(90, expand=True)
        picture.paste(turned, (left + index * cell + cell // 2 - LINE // 2, top + 4))


def _labels(tokens: Tokens, cell: int) -> Iterator[tuple[int, str]]:
    """The tokens whose texts stand along an axis, so that none touches the next.

    Example: cells of 2 pixels and lines of 10 leave room for every 5th token. The answer's first token, the
    special tokens and then every 5th one are placed, each if it keeps that distance from those before it.
    """
    distance, n = -(-LINE // cell), len(tokens.texts)
    special = [i for i, text in enumerate(tokens.texts) if text[:1] == "[" and text[-1:] == "]"]
    wanted = [min(tokens.marked, default=0), *special, *range(0, n, distance)]
    placed: list[int] = []
    for index in dict.fromkeys(wanted):
        if all(abs(index - other) >= distance for other in placed):
            placed.append(index)
    for index in sorted(placed):
        yield index, _shortened(tokens.texts[index])


def _coloured(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    position = np.sqrt(np.nan_to_num(values).clip(0, 1)) * (len(SCALE) - 1)
    channels = [np.interp(position, range(len(SCALE)), channel) for channel in SCALE.T]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _fitted(text: str, pixels: int) -> str:
    """`text`, or as much of its beginning as fits, with an ellipsis."""
    while len(text) > 1 and _width(text) > pixels:
        text = f"{text[: int(len(text) * 0.9)].rstrip('…')}…"
    return text


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, colour: str = INK) -> None:
    draw.text(place, drawable(text), font=_font(), fill=colour)


def _width(text: str) -> int:
    return int(_font().getlength(drawable(text))) + 1


@cache
def _font() -> ImageFont.FreeTypeFont:
    # The one that figures have, so that both show the same characters.
    return ImageFont.truetype(findfont(FontProperties()), TEXT)
