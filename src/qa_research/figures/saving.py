"""A figure -> a file, in the format that its suffix names."""

from pathlib import Path

from matplotlib.figure import Figure

from qa_research.files import written_whole

FORMATS = ("png", "svg", "pdf")
DPI = 130
# The time of writing, so that the same figure is the same file.
_TIMES = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a figure; `path` ends in one of `FORMATS`. `dpi`: dots per inch of a PNG."""
    ending = path.suffix.removeprefix(".")
    with written_whole(path, "wb") as file:
        figure.savefig(file, dpi=dpi, format=ending, metadata=_TIMES.get(ending))
