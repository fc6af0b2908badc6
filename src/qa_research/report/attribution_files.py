"""Where an attribution is kept: attribution.json, and the page and the picture made from it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.report.attribution_figures import sheet_of, steps_figure
from qa_research.report.attribution_page import attribution_page, steps_page

DPI = 130


@dataclass(frozen=True)
class Files:
    """What was written."""

    page: Path
    picture: Path
    numbers: Path

    def as_json(self) -> dict[str, str]:
        """By kind, as text."""
        return {"page": str(self.page), "picture": str(self.picture), "json": str(self.numbers)}


def folder_name(asked: str, what: str, parts: Sequence[str]) -> str:
    """A folder's name that tells what was asked, and that only the same `parts` give again."""
    words = re.sub(r"[^a-z0-9]+", "_", asked.lower()).strip("_")[:40].rstrip("_")
    digest = hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:8]
    return "-".join(word for word in (words, what, digest) if word)


def write_attribution(document: Mapping[str, Any], folder: Path) -> Files:
    """Write attribution.json, .html and .png of one answer, or of one watched question over its steps."""
    over_steps = "steps" in document
    files = Files(*(folder / f"attribution.{ending}" for ending in ("html", "png", "json")))
    page = steps_page(document) if over_steps else attribution_page(document)
    figure = steps_figure(document) if over_steps else sheet_of(document)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    files.numbers.write_text(text + "\n", encoding="utf-8")
    files.page.write_text(page, encoding="utf-8")
    figure.savefig(files.picture, dpi=DPI)
    return files
