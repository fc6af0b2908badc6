"""What the page's script needs of an explanation: plain lists and numbers. Pure.

An explanation as one HTML file that needs nothing beside it: no network, no other file.
"""

import base64
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import yaml
from jaxtyping import Int, UInt8
from numpy import ndarray
from PIL import Image

from qa_research.explain.images.charts import percent
from qa_research.explain.images.figures import heat, room
from qa_research.explain.images.panels import PICTURES
from qa_research.explain.images.result import Story
from qa_research.explain.images.words import (
    CAPTIONS,
    agreement,
    blanking_summary,
    facts,
    headline,
    meaning,
    no_seeds,
)
from qa_research.pages.html import one_file


def explanation_data(story: Story) -> dict[str, Any]:
    """Segments by rank, the map of their numbers as runs, and what is predicted of the top k.

    `runs`: number, length, number, length ... row by row. `room`: how many pixels wide and high a segment
    is at its innermost pixel. `top_only` and `top_off`: for k from 0 to all what the
    classifier (None where it was not asked) and the surrogate say of the picture with only the top k on, or
    without them.
    """
    height, width = story.segments.shape
    rows = [
        {**row, "room": list(room(story.segments, *row["centre"]))}
        for row in story.document["segments"]
    ]
    return {
        "width": width,
        "height": height,
        "runs": runs(story.segments),
        "segments": rows,
        "top": story.top,
        "digits": decimals(story),
        "exact": story.document["sampling"]["exact"],
        "confidence": story.confidence,
        "top_only": _predicted(story, "insertion"),
        "top_off": _predicted(story, "deletion"),
    }


def decimals(story: Story) -> int:
    """Decimals with which the largest coefficient has three digits, three at least."""
    most = float(np.abs(story.of_segments("coefficient")).max())
    return 3 if most == 0 else max(3, 2 - math.floor(math.log10(most)))


def runs(segments: Int[ndarray, "height width"]) -> list[int]:
    """Run-length code of the map, row by row: number, length, number, length ..."""
    flat = segments.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    lengths = np.diff(starts, append=len(flat))
    return [int(value) for value in np.stack([flat[starts], lengths], axis=1).ravel()]


def _predicted(story: Story, name: str) -> list[dict[str, float | None]]:
    coefficients = story.of_segments("coefficient")[list(story.order)]
    along = np.concatenate([[0.0], np.cumsum(coefficients)])
    intercept = float(story.document["surrogate"]["intercept"])
    surrogate = intercept + (along if name == "insertion" else along[-1] - along)
    classifier = _measured(story, name)
    return [
        {"surrogate": float(f"{value:.6g}"), "classifier": classifier.get(k)}
        for k, value in enumerate(surrogate)
    ]


def _measured(story: Story, name: str) -> dict[int, float]:
    """By k what the classifier gave along the curve, whose steps are told by the area they switch."""
    if story.document["curves"] is None:
        return {}
    curve = story.document["curves"][name]
    areas = np.cumsum([0.0, *(row["area"] for row in story.document["segments"])])
    found = {}
    for share, probability in zip(curve["share"], curve["probability"], strict=True):
        k = int(np.abs(areas - share).argmin())
        # Shares have six digits, and no segment is as small as what they leave out.
        if abs(areas[k] - share) < 1e-5:
            found[k] = float(probability)
    return found


_SCRIPTS = ("picture.js", "page.js")
# Pixels of a figure for each of the page's: sharp on dense screens.
_DENSITY = 1.5


@dataclass(frozen=True)
class Shown:
    """A figure in the page: its address, its size there, and what it shows. `is_chart`: no photograph."""

    address: str
    width: int
    height: int
    caption: str
    is_chart: bool


def explanation_page(story: Story, figures: Mapping[str, bytes]) -> str:
    """The page: verdict, a picture to point at, its segments as a table, the controls, the counterfactual.

    `figures` are PNGs by name, as `figures_of` names them. All text is escaped, and the browser is told
    to run this page's own script alone.
    """
    coloured = heat(story.pixels, story.segments, story.of_segments("coefficient"))
    found = story.document["counterfactual"]
    again = None if found is None else found["explained_again"]
    values = {
        "story": story,
        "document": story.document,
        "headline": headline(story),
        "facts": facts(story),
        "meaning": meaning(story),
        "no_seeds": no_seeds(story.document["sampling"]),
        "pictures": {
            "pixels": picture_address(story.pixels),
            "off": picture_address(story.off_pixels),
            "heat": picture_address((255 * coloured).round().astype(np.uint8)),
        },
        "figures": {name: shown(name, content) for name, content in figures.items()},
        "summary": [] if found is None else blanking_summary(found),
        "second_facts": [] if again is None else agreement(again, story.top),
        "command": story.document["command"],
        "settings": yaml.safe_dump(
            dict(story.document["config"]), allow_unicode=True, sort_keys=False
        ),
        "scale": scale_of(story),
        "data": explanation_data(story),
    }
    filters: dict[str, Callable[..., str]] = {"percent": percent, "signed": signed}
    return one_file(
        "qa_research.explain.images", "page.html.jinja", "page.css", _SCRIPTS, values, filters
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


def scale_of(story: Story) -> Scale:
    """One that holds zero and all that the table's rows show."""
    shown = [story.of_segments(name) for name in ("coefficient", "low", "high")]
    low, high = (float(end(0.0, *(end(*one) for one in shown))) for end in (min, max))
    return Scale(low, high if high > low else low + 1)


def signed(value: float, digits: int) -> str:
    """With its sign and a minus as long as the plus; a zero has none."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def shown(name: str, content: bytes) -> Shown:
    """A PNG as the page shows it."""
    width, height = struct.unpack(">II", content[16:24])
    return Shown(
        address(content),
        round(width / _DENSITY),
        round(height / _DENSITY),
        CAPTIONS[name],
        name not in PICTURES,
    )


def address(content: bytes) -> str:
    """A PNG as an address that holds all of it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def picture_address(pixels: UInt8[ndarray, "height width 3"]) -> str:
    """Pixels as the address of a PNG, without loss."""
    content = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, format="PNG")
    return address(content.getvalue())
