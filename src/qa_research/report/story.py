"""The verb report: which runs are meant, and where their page goes."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.files import file_name, write_bytes, write_text, written_folder
from qa_research.pages.document import Document, Picture
from qa_research.pages.markup import document_page, table_of
from qa_research.pages.pdf import check_fonts, document_pdf, picture_png
from qa_research.report.comparison import Report, read_report
from qa_research.report.several import several_report
from qa_research.report.sources import Source
from qa_research.report.training import training_report
from qa_research.report.verify import Checked, Now, verify
from qa_research.report.written import pictures_on
from qa_research.runs.directory import check_writable
from qa_research.runs.store import find, run_directories
from qa_research.text import command_line

PAGE, PAPER, PICTURES = "report.html", "report.pdf", "figures"
MOST_RUNS = 6
SCRIPTS = ("report.js",)


@dataclass(frozen=True)
class Written:
    """The files of a report. `absent`: scripts or signs that the PDF has no font for."""

    page: Path
    paper: Path
    pictures: Path | None
    absent: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        pictures = None if self.pictures is None else str(self.pictures)
        return {
            "page": str(self.page),
            "pdf": str(self.paper),
            "figures": pictures,
            "characters_without_font": list(self.absent),
        }


def write_report(
    wanted: Sequence[str],
    runs: Path,
    out: Path | None,
    default: Mapping[str, Any],
    fonts: Sequence[Path] = (),
) -> Written:
    """Write the report of a run to its own folder, or of several to that of the first one's study.

    `out`: another folder. `default`: the config that `train` has without any words. `fonts`: see
    `document_pdf`.

    Raises:
        ValueError: more than six runs, a damaged one, or a font that cannot be read.
        FileNotFoundError: a run does not exist.
    """
    directories = chosen_runs(wanted, runs)
    folder = folder_of(directories, out)
    check_writable(folder, "--out DIR")
    check_fonts(fonts)
    document, sources = read_document(directories, default)
    pdf = document_pdf(document, fonts)
    page, paper = folder / PAGE, folder / PAPER
    earlier = pictures_on(page)
    write_text(page, page_of(document, sources))
    write_bytes(paper, pdf.content)
    pictures = document.pictures()
    if pictures:
        _write_pictures(pictures, folder / PICTURES)
    _remove_stale(earlier, {picture.name for picture in pictures}, folder / PICTURES)
    return Written(page, paper, folder / PICTURES if pictures else None, pdf.absent)


def check_report(
    wanted: Sequence[str],
    runs: Path,
    out: Path | None,
    default: Mapping[str, Any],
    fonts: Sequence[Path] = (),
) -> Checked:
    """Compare a report that was written before with its runs; see `verify` and `write_report`.

    Raises:
        FileNotFoundError: a run does not exist, or has no report.
        ValueError: as `write_report`, or the page is no report of these runs.
    """
    directories = chosen_runs(wanted, runs)
    folder = folder_of(directories, out)
    if not (folder / PAGE).is_file():
        place = [] if out is None else ["--out", out]
        line = command_line("qa-research", "report", *wanted, *place)
        raise FileNotFoundError(f"{folder / PAGE} is missing; {line} writes it")
    check_fonts(fonts)
    document, sources = read_document(directories, default)
    now = Now(page_of(document, sources), document_pdf(document, fonts).content)
    return verify(folder / PAGE, folder / PAPER, document, now, sources)


def folder_of(directories: Sequence[Path], out: Path | None) -> Path:
    """Where the report of these runs lies."""
    own = directories[0] if len(directories) == 1 else directories[0].parent
    return (out or own).expanduser()


def _write_pictures(pictures: Sequence[Picture], folder: Path) -> None:
    """Each picture as SVG and PNG, and its data as CSV."""
    with written_folder(folder, replace=True) as inside:
        for picture in pictures:
            write_text(inside / f"{picture.name}.svg", picture.svg)
            write_bytes(inside / f"{picture.name}.png", picture_png(picture))
            write_text(inside / f"{picture.name}.csv", table_of(picture))


def _remove_stale(earlier: Mapping[str, str], made: Collection[str], folder: Path) -> None:
    """Remove what an earlier report has drawn and this one has not.

    `earlier`: by a picture's name the digest of its data. Files that somebody changed, or brought, stay.
    """
    for name in earlier.keys() - set(made):
        data = folder / f"{file_name(name)}.csv"
        if data.is_file() and hashlib.sha256(data.read_bytes()).hexdigest() == earlier[name]:
            for ending in ("svg", "png", "csv"):
                (folder / f"{file_name(name)}.{ending}").unlink(missing_ok=True)


def read_document(
    directories: Sequence[Path], default: Mapping[str, Any]
) -> tuple[Document, list[Source]]:
    """What a report of these runs says, and the files that it says it of.

    Raises:
        ValueError: a run is damaged.
    """
    if len(directories) == 1:
        source = Source(directories[0])
        return training_report(source, default), [source]
    report = read_report(directories)
    return several_report(report, title_of(report)), list(report.runs)


def page_of(document: Document, sources: Sequence[Source]) -> str:
    """The document as HTML."""
    runs = [{"id": source.entry.id, "name": source.entry.name} for source in sources]
    return document_page(document, "qa_research.report", "report.css", SCRIPTS, {"runs": runs})


def chosen_runs(wanted: Sequence[str], runs: Path) -> list[Path]:
    """The runs that the words name, in order and each once: all of a study, or one run.

    Raises:
        ValueError: more than six.
        FileNotFoundError: a run does not exist.
    """
    found: list[Path] = []
    known = run_directories(runs) if runs.is_dir() else []
    for name in wanted:
        of_study = [run for run in known if run.parent.name == name]
        found += of_study or [find(name, runs)]
    found = list(dict.fromkeys(found))
    if len(found) > MOST_RUNS:
        raise ValueError(
            f"{len(found)} runs are too many for one page, which has room for {MOST_RUNS}; "
            "name the runs one by one"
        )
    return found


def title_of(report: Report) -> str:
    """What the runs are called together: by what differs, and their study if they have one."""
    names = [run.name for run in report.runs]
    studies = {run.entry.study for run in report.runs}
    title = " and ".join(names) if len(names) == 2 else f"{len(names)} runs"
    return f"{studies.pop()}: {title}" if len(studies) == 1 else title
