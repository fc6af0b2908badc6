"""A report's page as it was written: its values, its blocks of JSON, its words and its pictures."""

from collections.abc import Collection, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from qa_research.files import parse_json, read_text
from qa_research.pages.markup import FORMAT
from qa_research.report.sources import Source


class WrittenPage(HTMLParser):
    """The values that a page shows, by place, its blocks of JSON, by id, and all other words.

    `without`: sections whose words are left out, and so is then the list of sections; `left_out`: the places
    of the values in them.
    """

    def __init__(self, text: str, without: Collection[str] = ()) -> None:
        super().__init__(convert_charrefs=True)
        self._without = without
        self._skipped = False
        self.left_out: set[int] = set()
        self.values: dict[int, str] = {}
        self.blocks: dict[str, str] = {}
        self.words: list[str] = []
        self._silent = False
        self._value: int | None = None
        self._block: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "data" and (value := named.get("value") or "").isdecimal():
            self._value = int(value)
            self.values[self._value] = ""
            if self._skipped:
                self.left_out.add(self._value)
        if tag in ("section", "nav") and self._without:
            self._skipped = tag == "nav" or named.get("id") in self._without
        self._silent = tag in ("script", "style")
        if tag == "script" and named.get("type") == "application/json":
            self._block = named.get("id") or ""
            self.blocks[self._block] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._value = None
        elif tag == "script":
            self._block = None
        elif tag in ("section", "nav"):
            self._skipped = False
        self._silent = False

    def handle_data(self, data: str) -> None:
        if self._value is not None:
            self.values[self._value] += data
        elif self._block is not None:
            self.blocks[self._block] += data
        elif not self._silent and not self._skipped:
            self.words += data.split()


def origins_on(shown: WrittenPage, page: Path, sources: Sequence[Source]) -> Mapping[str, Any]:
    """The block of origins (see `markup.origins`) of the page of these runs, at `page`.

    Raises:
        ValueError: it is no report, or one of another version or of other runs.
    """
    if "origins" not in shown.blocks:
        raise ValueError(f"{page} is not a report; write one with qa-research report")
    found = parse_json(shown.blocks["origins"], f"the origins in {page}")
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(
            f"{page} was written by another version; write it again with qa-research report"
        )
    ids = [run.get("id") for run in found["runs"]]
    if ids != [source.entry.id for source in sources]:
        raise ValueError(
            f"{page} is the report of other runs; write this one with qa-research report"
        )
    return found


def pictures_on(page: Path) -> dict[str, str]:
    """The pictures of an earlier report, each with the digest of its data; none if there is none."""
    if not page.is_file():
        return {}
    try:
        block = WrittenPage(read_text(page, str(page))).blocks.get("origins", "null")
        found = parse_json(block, f"the origins in {page}")
    except ValueError:
        found = None
    pictures = found.get("pictures") if isinstance(found, dict) else None
    # Else it is somebody's own page, which a report replaces; what lies beside it is not of a report.
    return pictures if isinstance(pictures, dict) else {}
