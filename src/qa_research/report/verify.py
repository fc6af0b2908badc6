"""The check of a report: every value on its page and in its PDF is taken from the run's files again."""

import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from qa_research.files import parse_json, read_text
from qa_research.ledger.runs import LEDGER
from qa_research.pages.document import Document, Live, Value
from qa_research.pages.markup import FORMAT, digest
from qa_research.report.sources import Source
from qa_research.text import disarmed, json_text, plural

# A number, with what a report writes within one.
_NUMBER = re.compile(r"[−+]?\d[\d,]*(?:\.\d+)?(?:e[−+-]?\d+)?")


@dataclass(frozen=True)
class Fault:
    """What a report says and its run does not. `place`: where; `printed` and `found`: both texts."""

    place: str
    printed: str
    found: str

    def __str__(self) -> str:
        printed, found = apart(self.printed, self.found)
        return f"{self.place}: the report says {printed}, and now it is {found}"


@dataclass(frozen=True)
class Checked:
    """`values`: how many were traced to the files and taken again. `notes`: what could not be compared."""

    values: int
    pictures: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """What is told of it, a line each."""
        yield from map(str, self.faults)
        yield from self.notes
        traced = f"{plural(self.values, 'value')} and {plural(self.pictures, 'picture')}"
        if self.faults:
            yield f"{traced} checked against the files of the run: {plural(len(self.faults), 'difference')}"
        else:
            yield f"{traced} checked against the files of the run: no difference"


@dataclass(frozen=True)
class Now:
    """The report as it would be written now."""

    page: str
    paper: bytes


def verify(
    page: Path, paper: Path, document: Document, now: Now, sources: Sequence[Source]
) -> Checked:
    """Compare a report with its runs.

    `page` and `paper`: the HTML and PDF files. `document`: what the report would say now; `now`: that as
    a page and as a PDF.

    Raises:
        FileNotFoundError: there is no page.
        ValueError: it is not a report, or one of other runs.
    """
    shown = _Page(read_text(page, str(page)))
    origins = _origins(shown, page, sources)
    faults = [*_values(shown, origins, sources), *_drawn(shown, origins, document)]
    faults += _prose(shown, _Page(now.page), page.name)
    notes: list[str] = []
    if paper.is_file():
        faults += _on_paper(paper, now.paper, notes)
    else:
        notes.append(f"{paper} is missing, so only the page was checked")
    return Checked(len(origins["values"]), len(origins["pictures"]), tuple(faults), tuple(notes))


class _Page(HTMLParser):
    """The values that a page shows, by place, its blocks of JSON, by id, and all other words."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
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
        self._silent = tag in ("script", "style")
        if tag == "script" and named.get("type") == "application/json":
            self._block = named.get("id") or ""
            self.blocks[self._block] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._value = None
        elif tag == "script":
            self._block = None
        self._silent = False

    def handle_data(self, data: str) -> None:
        if self._value is not None:
            self.values[self._value] += data
        elif self._block is not None:
            self.blocks[self._block] += data
        elif not self._silent:
            self.words += data.split()


def _origins(shown: _Page, page: Path, sources: Sequence[Source]) -> Mapping[str, Any]:
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


def _values(shown: _Page, origins: Mapping[str, Any], sources: Sequence[Source]) -> Iterator[Fault]:
    """Every value, as the page shows it and as its origin is now."""
    lost: dict[str, int] = {}
    for number, value in enumerate(origins["values"]):
        origin = value["origin"]
        place = _place(origin)
        file = sources[origin["run"]].directory / origin["file"]
        if origin["file"] != LEDGER and not file.exists():
            lost[str(file)] = lost.get(str(file), 0) + 1
            continue
        try:
            now = disarmed(sources[origin["run"]].again(origin))
        except (ValueError, OSError, LookupError, AttributeError, TypeError) as error:
            now = f"not to be had ({error})"
        if number in shown.values:
            if shown.values[number] != now:
                yield Fault(place, shown.values[number], now)
        elif value["text"] != now:
            yield Fault(place, value["text"], now)
    for name, count in lost.items():
        yield Fault(name, f"{plural(count, 'value')} of it", "missing")
    if stray := sorted(set(shown.values) - set(range(len(origins["values"])))):
        yield Fault("the page", f"values without an origin: {stray}", "")


def _place(origin: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{key} {value}" for key, value in (origin.get("of") or {}).items())
    return f"{origin['file']}, {origin['take']}{f' ({arguments})' if arguments else ''}"


def _prose(shown: _Page, now: _Page, name: str) -> Iterator[Fault]:
    """Words of the page that are no values: changed, added or left out; and values that are gone."""
    gone = sorted(set(now.values) - set(shown.values))
    if gone:
        yield Fault(
            name, f"{plural(len(gone), 'value')} less", ", ".join(now.values[i] for i in gone)
        )
    matcher = difflib.SequenceMatcher(None, shown.words, now.words, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            yield Fault(name, " ".join(shown.words[a:b]), " ".join(now.words[c:d]))


def _drawn(shown: _Page, origins: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    """What is drawn: the data of each picture, and of each part that moves."""
    for picture in document.pictures():
        if origins["pictures"].get(picture.name) != digest(picture):
            yield Fault(f"the picture {picture.name}", "other data", "what the files hold")
    own = parse_json(shown.blocks.get("live", "null"), "what the page's charts read")
    live = {block.part: block.values for block in document.blocks() if isinstance(block, Live)}
    # As they went into the page.
    now = parse_json(json_text(live), "the charts")
    if difference := first_difference(own, now):
        place, printed, found = difference
        yield Fault(f"the charts of the page, at {place}", printed, found)
    told = [_key(value) for value in document.values()]
    if told != [_key(value) for value in origins["values"]]:
        yield Fault(
            "the page", f"{len(origins['values'])} values", f"{len(told)}, or of other origins"
        )


def _key(value: Value | Mapping[str, Any]) -> str:
    origin = value.origin if isinstance(value, Value) else value["origin"]
    return json_text(origin)


def apart(one: str, other: str, around: int = 40) -> tuple[str, str]:
    """Two texts where they differ, with some of what is around; nothing is said as such.

    >>> apart("a" * 60 + "1" + "b" * 60, "a" * 60 + "2" + "b" * 60, 3)
    ('… aaa1bbb …', '… aaa2bbb …')
    """
    if max(len(one), len(other)) <= 2 * around + 20:
        return one or "nothing", other or "nothing"
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    tail = next(
        (i for i, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), 0
    )
    shown = []
    for text in (one, other):
        end = max(len(text) - tail, start)
        piece = text[max(start - around, 0) : end + around]
        head = "… " if start > around else ""
        shown.append(f"{head}{piece}{' …' if end + around < len(text) else ''}" or "nothing")
    return shown[0], shown[1]


def first_difference(one: Any, other: Any, place: str = "") -> tuple[str, str, str] | None:
    """Where two of JSON's values first differ, and both there; None: nowhere."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(f"{place}.{key}".lstrip("."), one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{place}[{i}]", a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
    elif one == other:
        return None
    else:
        return place or "the top", f"{one!r:.60}", f"{other!r:.60}"
    found = (first_difference(a, b, inner) for inner, a, b in pairs)
    return next((difference for difference in found if difference), None)


def _on_paper(paper: Path, now: bytes, notes: list[str]) -> Iterator[Fault]:
    """Where the PDF's numbers are not those that it would have now."""
    own = paper.read_bytes()
    if own == now:
        return
    try:
        before, after = _numbers_of(own), _numbers_of(now)
    except (PyPdfError, ValueError, KeyError) as error:
        yield Fault(str(paper.name), f"nothing readable ({error})", "a PDF")
        return
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            yield Fault(paper.name, " ".join(before[a:b]), " ".join(after[c:d]))
    if before == after:
        notes.append(
            f"{paper.name} is drawn otherwise than it would be now, with the same numbers in it"
        )


def _numbers_of(pdf: bytes) -> list[str]:
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return _NUMBER.findall(text)
