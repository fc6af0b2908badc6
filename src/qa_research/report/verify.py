"""The check of a report: every value on its page and in its PDF is taken from the run's files again."""

import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from qa_research.capture.kept import ANSWERS
from qa_research.capture.recording.files import RECORDING
from qa_research.files import parse_json, read_text
from qa_research.ledger.runs import LEDGER
from qa_research.pages.document import Document, Live
from qa_research.pages.markup import digest
from qa_research.report.sources import Source
from qa_research.report.written import WrittenPage, origins_on
from qa_research.runs.manifest import left_out_of
from qa_research.text import disarmed, json_text, plural

# File -> the sections that are made of it, and the parts of them that move.
MADE_OF = {
    RECORDING: ({"watched", "weights", "question", "head", "missing"}, {"question", "route"}),
    ANSWERS: ({"answers"}, set()),
}
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
    """`values`, `pictures`: how many were traced to the files and taken again; `notes`: what could not be."""

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
class Missing:
    """A file that a report was made of and that is not here.

    `source`: the place of its run; `values`: how many of the report's are of it; `why`: what the bundle of
    an imported run says, empty if nobody says it.
    """

    path: Path
    source: int
    file: str
    values: int
    why: str


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
    text = read_text(page, str(page))
    whole = WrittenPage(text)
    origins = origins_on(whole, page, sources)
    missing = _missing(whole, origins, sources)
    sections = {name for one in missing for name in MADE_OF.get(one.file, (set(), set()))[0]}
    shown = WrittenPage(text, sections)
    faults = [Fault(str(one.path), _made_of(one), "missing") for one in missing if not one.why]
    faults += _values(shown, origins, sources, missing)
    would_be = WrittenPage(now.page, sections)
    faults += _drawn(shown, origins, document, missing)
    faults += _of_others(shown, would_be, origins, document)
    faults += _prose(shown, would_be, page.name)
    drawn = {picture.name for picture in document.pictures()} if missing else origins["pictures"]
    n_pictures = sum(name in drawn for name in origins["pictures"])
    notes = [_unchecked(one, len(origins["pictures"]) - n_pictures) for one in missing if one.why]
    if not paper.is_file():
        notes.append(f"{paper} is missing, so only the page was checked")
    elif missing:
        notes.append(f"{paper.name} is not checked either, since it has the same in it")
    else:
        faults += _on_paper(paper, now.paper, notes)
    n_values = len(origins["values"]) - sum(one.values for one in missing)
    return Checked(n_values, n_pictures, tuple(faults), tuple(notes))


def _missing(
    shown: WrittenPage, origins: Mapping[str, Any], sources: Sequence[Source]
) -> list[Missing]:
    """The files that the page was made of, and that do not exist."""
    counted: dict[tuple[int, str], int] = {}
    for value in origins["values"]:
        place, file = value["origin"]["run"], value["origin"]["file"]
        if file != LEDGER and not (sources[place].directory / file).exists():
            counted[place, file] = counted.get((place, file), 0) + 1
    live = parse_json(shown.blocks.get("live", "null"), "what the page's charts read")
    if isinstance(live, dict) and "question" in live:
        # The same questions were watched in every run, whose answers are not values of the page.
        lost = [source for source in sources if not (source.directory / RECORDING).exists()]
        counted |= {
            (one.number, RECORDING): counted.get((one.number, RECORDING), 0) for one in lost
        }
    return [
        Missing(
            path=sources[place].directory / file,
            source=place,
            file=file,
            values=count,
            why=left_out_of(sources[place].directory).get(file, ""),
        )
        for (place, file), count in counted.items()
    ]


def _made_of(missing: Missing) -> str:
    """What a page has of a file."""
    return f"{plural(missing.values, 'value')} of it" if missing.values else "what was made of it"


def _unchecked(missing: Missing, pictures: int) -> str:
    """What cannot be checked, and why, as a sentence."""
    told = f"{plural(missing.values, 'value')} and {plural(pictures, 'picture')}"
    return (
        f"{missing.file} is not in the bundle that this run was imported from ({missing.why}), so {told} "
        "that were made of it, and the sections around them, cannot be checked"
    )


def _values(
    shown: WrittenPage,
    origins: Mapping[str, Any],
    sources: Sequence[Source],
    missing: Sequence[Missing],
) -> Iterator[Fault]:
    """Every value, as the page shows it and as its origin is now; not those of files that are missing."""
    for number, value in enumerate(origins["values"]):
        origin = value["origin"]
        place = _place(origin)
        if _is_of(origin, missing):
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
    if stray := sorted(set(shown.values) - set(range(len(origins["values"])))):
        yield Fault("the page", f"values without an origin: {stray}", "")


def _is_of(origin: Mapping[str, Any], missing: Sequence[Missing]) -> bool:
    """Whether a value is of a file that is missing."""
    return any((one.source, one.file) == (origin["run"], origin["file"]) for one in missing)


def _place(origin: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{key} {value}" for key, value in (origin.get("of") or {}).items())
    return f"{origin['file']}, {origin['take']}{f' ({arguments})' if arguments else ''}"


def _prose(shown: WrittenPage, now: WrittenPage, name: str) -> Iterator[Fault]:
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


def _drawn(
    shown: WrittenPage, origins: Mapping[str, Any], document: Document, missing: Sequence[Missing]
) -> Iterator[Fault]:
    """What is drawn: the data of each picture and of what moves, as far as their files are here."""
    lost = {part for one in missing for part in MADE_OF.get(one.file, (set(), set()))[1]}
    for picture in document.pictures():
        if origins["pictures"].get(picture.name) != digest(picture):
            yield Fault(f"the picture {picture.name}", "other data", "what the files hold")
    own = parse_json(shown.blocks.get("live", "null"), "what the page's charts read")
    live = {
        block.part: block.values
        for block in document.blocks()
        if isinstance(block, Live) and block.part not in lost
    }
    # As they went into the page.
    now = parse_json(json_text(live), "the charts")
    if isinstance(own, dict):
        own = {part: values for part, values in own.items() if part not in lost}
    if difference := first_difference(own, now):
        place, printed, found = difference
        yield Fault(f"the charts of the page, at {place}", printed, found)


def _of_others(
    shown: WrittenPage, would_be: WrittenPage, origins: Mapping[str, Any], document: Document
) -> Iterator[Fault]:
    """Values that the page has and would not have now, or the other way round."""
    own = [
        json_text(value["origin"])
        for place, value in enumerate(origins["values"])
        if place not in shown.left_out
    ]
    now = [
        json_text(value.origin)
        for place, value in enumerate(document.values())
        if place not in would_be.left_out
    ]
    if own != now:
        yield Fault("the page", plural(len(own), "value"), f"{len(now)}, or of other origins")


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
