"""An explanation as one HTML file that works offline and needs no other file. Writes nothing."""

import base64
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
import yaml
from jaxtyping import Int, UInt8
from numpy import ndarray
from PIL import Image

from qa_research.explain.images.blanking import Curve
from qa_research.explain.images.overlays import heat, room
from qa_research.explain.images.panels import PICTURES
from qa_research.explain.images.result import Explanation
from qa_research.explain.images.sentences import (
    agreement,
    badge,
    blanking_summary,
    caption,
    command_of_more,
    facts,
    headline,
    meaning,
    no_seeds,
    percent,
    sentence_case,
    shown_top,
    untried,
)
from qa_research.explain.ranking import tie_mark, tie_of
from qa_research.pages.html import one_file

_SCRIPTS = ("picture.js", "page.js")
# Pixels of a figure for each pixel of the page: sharp on dense screens.
_DENSITY = 1.5


def explanation_page(explanation: Explanation, figures: Mapping[str, bytes]) -> str:
    """The page: verdict, a picture to point at, its segments as a table, the controls, the counterfactual.

    `figures`: PNGs by the names of `figures_of`. All text is escaped, and the browser is told to run only
    this page's own script.
    """
    arrays, found = explanation.arrays, explanation.counterfactual
    again = None if found is None else found.explained_again
    coloured = heat(arrays.pixels, arrays.segments, explanation.by_number("coefficient"))
    values = {
        "explanation": explanation,
        "headline": headline(explanation),
        "badge": badge(explanation),
        "facts": facts(explanation),
        "meaning": meaning(explanation),
        "untried": untried(explanation),
        "more_command": command_of_more(explanation),
        "shown_top": shown_top(explanation),
        "ties": {
            one.rank: tie_mark(tie_of(one.rank, explanation.tied_ranks))
            for one in explanation.segments
        },
        "no_seeds": no_seeds(explanation.sampling),
        "pictures": {
            "pixels": picture_address(arrays.pixels),
            "off": picture_address(arrays.off_pixels),
            "heat": picture_address((255 * coloured).round().astype(np.uint8)),
        },
        "figures": {
            name: _figure(content, caption(name, explanation), is_chart=name not in PICTURES)
            for name, content in figures.items()
        },
        "summary": [] if found is None else blanking_summary(found),
        "second_facts": [] if again is None else agreement(again, explanation.top),
        "classifier": asdict(explanation.classifier),
        "settings": yaml.safe_dump(dict(explanation.config), allow_unicode=True, sort_keys=False),
        "scale": scale_of(explanation),
        "data": explanation_data(explanation),
    }
    filters: dict[str, Callable[..., str]] = {"percent": percent, "signed": signed}
    return one_file(
        "qa_research.explain.images",
        "page.html.jinja",
        "page.css",
        _SCRIPTS,
        values,
        filters,
        kit=("kit.css",),
    )


def explanation_data(explanation: Explanation) -> dict[str, Any]:
    """What the page's script needs.

    `runs`: the map of segments, see `runs`. `tied`: first and last rank of a segment's run of ties. `room`:
    how many pixels wide and high it is at its innermost pixel. `top_only` and `top_off`: for k from 0 to all,
    the probability with only the top k on, or without them, from the surrogate and from the classifier (None
    where it was not asked).
    """
    segments, curves = explanation.arrays.segments, explanation.curves
    height, width = segments.shape
    return {
        "width": width,
        "height": height,
        "runs": runs(segments),
        "segments": [
            {
                **asdict(one),
                "tied": tie_of(one.rank, explanation.tied_ranks),
                "room": list(room(segments, *one.centre)),
            }
            for one in explanation.segments
        ],
        "top": explanation.highlighted,
        "top_name": sentence_case(shown_top(explanation)),
        "digits": decimals(explanation),
        "exact": explanation.sampling.exact,
        "confidence": explanation.interval,
        "top_only": _predicted(explanation, curves.insertion if curves else None, only=True),
        "top_off": _predicted(explanation, curves.deletion if curves else None, only=False),
    }


def decimals(explanation: Explanation) -> int:
    """Decimals that show three digits of the largest coefficient, at least three.

    Largest 0.31: 3 decimals (0.310); largest 0.0042: 5 (0.00420).
    """
    most = float(np.abs(explanation.by_number("coefficient")).max())
    return 3 if most == 0 else max(3, 2 - math.floor(math.log10(most)))


def runs(segments: Int[ndarray, "height width"]) -> list[int]:
    """Run-length code of the map, row by row: number, length, number, length ...

    >>> runs(np.array([[0, 0, 1], [1, 1, 0]]))
    [0, 2, 1, 3, 0, 1]
    """
    flat = segments.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    lengths = np.diff(starts, append=len(flat))
    return [int(value) for value in np.stack([flat[starts], lengths], axis=1).ravel()]


def _predicted(
    explanation: Explanation, curve: Curve | None, *, only: bool
) -> list[dict[str, float | None]]:
    coefficients = [one.coefficient for one in explanation.segments]
    along = np.concatenate([[0.0], np.cumsum(coefficients)])
    surrogate = explanation.surrogate.intercept + (along if only else along[-1] - along)
    measured = {} if curve is None else _measured(explanation, curve)
    return [
        {"surrogate": float(f"{value:.6g}"), "classifier": measured.get(k)}
        for k, value in enumerate(surrogate)
    ]


def _measured(explanation: Explanation, curve: Curve) -> dict[int, float]:
    """The classifier's probability by k, for the k at which the curve was measured.

    A curve has at most 20 steps and knows only the area that each of them switched: with areas .1 .2 .3 .4
    and shares 0 .3 1 it was measured at k = 0, 2 and 4.
    """
    areas = np.cumsum([0.0, *(one.area for one in explanation.segments)])
    found = {}
    for share, probability in zip(curve.share, curve.probability, strict=True):
        k = int(np.abs(areas - share).argmin())
        # Shares are saved with six digits, which is far more exact than the area of any segment needs.
        if abs(areas[k] - share) < 1e-5:
            found[k] = float(probability)
    return found


@dataclass(frozen=True)
class PageFigure:
    """A figure in the page: its address, its size there, and its caption. `is_chart`: not a photograph."""

    address: str
    width: int
    height: int
    caption: str
    is_chart: bool


def _figure(content: bytes, caption: str, *, is_chart: bool) -> PageFigure:
    # A PNG has its width and height in bytes 16 to 23.
    width, height = struct.unpack(">II", content[16:24])
    return PageFigure(
        address=_address(content),
        width=round(width / _DENSITY),
        height=round(height / _DENSITY),
        caption=caption,
        is_chart=is_chart,
    )


@dataclass(frozen=True)
class Scale:
    """From values to places between 0 and 100."""

    low: float
    high: float

    def of(self, value: float) -> float:
        """The place of a value, with two decimals."""
        return round(1 + 98 * (value - self.low) / (self.high - self.low), 2)

    @property
    def zero(self) -> float:
        """The place of zero."""
        return self.of(0.0)


def scale_of(explanation: Explanation) -> Scale:
    """A scale that includes zero, all coefficients and all intervals."""
    values = [explanation.by_number(name) for name in ("coefficient", "low", "high")]
    low = min(0.0, float(np.min(values)))
    high = max(0.0, float(np.max(values)))
    return Scale(low, high if high > low else low + 1)


def signed(value: float, digits: int) -> str:
    """With its sign, and a minus as long as the plus; zero has no sign."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def picture_address(pixels: UInt8[ndarray, "height width 3"]) -> str:
    """Pixels as the data address of a PNG, without loss."""
    content = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, format="PNG")
    return _address(content.getvalue())


def _address(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
