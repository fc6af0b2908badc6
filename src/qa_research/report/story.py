"""The verb report: which runs are meant, and where their page goes."""

from collections.abc import Sequence
from pathlib import Path

from qa_research.files import write_text
from qa_research.report.comparison import Report, read_report
from qa_research.report.page import report_page
from qa_research.runs.directory import check_writable
from qa_research.runs.store import find, run_directories

PAGE = "report.html"
MOST_RUNS = 6


def write_report(wanted: Sequence[str], runs: Path, out: Path | None) -> Path:
    """Write the page of these runs, to `out` or else to the folder of the first one's study; its path.

    Raises:
        ValueError: fewer than two runs or more than six, or a damaged one.
        FileNotFoundError: a run does not exist.
    """
    directories = chosen_runs(wanted, runs)
    if len(directories) < 2:
        raise ValueError(
            f"a report puts runs side by side, and {' '.join(wanted)} names only one; "
            "name another one, or a study"
        )
    if len(directories) > MOST_RUNS:
        raise ValueError(
            f"{len(directories)} runs are too many for one page, which has room for {MOST_RUNS}; "
            "name the runs one by one"
        )
    folder = (out or directories[0].parent).expanduser()
    check_writable(folder, "--out DIR")
    report = read_report(directories)
    page = folder / PAGE
    write_text(page, report_page(report, title_of(report)))
    return page


def chosen_runs(wanted: Sequence[str], runs: Path) -> list[Path]:
    """The runs that the words name, in order and each once: all of a study, or one run."""
    found: list[Path] = []
    known = run_directories(runs) if runs.is_dir() else []
    for name in wanted:
        of_study = [run for run in known if run.parent.name == name]
        found += of_study or [find(name, runs)]
    return list(dict.fromkeys(found))


def title_of(report: Report) -> str:
    """What the runs are called together: by what differs, and their study if they have one."""
    names = [run.name for run in report.runs]
    studies = {run.entry.study for run in report.runs}
    title = " and ".join(names) if len(names) == 2 else f"{len(names)} runs"
    return f"{studies.pop()}: {title}" if len(studies) == 1 else title
