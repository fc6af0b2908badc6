"""How verbs that measure a run pass on what they found: a table, a picture, and the screen or JSON."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.text import print_json, print_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_findings(values: Mapping[str, Any], figure: "Figure", table: Path, picture: Path) -> None:
    """Write `values` to `table` and the figure to `picture`."""
    from qa_research.figures.saving import save_figure
    from qa_research.files import write_text
    from qa_research.text import json_text

    save_figure(figure, picture)
    write_text(table, json_text(values))


def pass_on(
    values: Mapping[str, Any],
    figure: "Figure",
    table: Path,
    picture: Path,
    show: Callable[[], None] | None,
    page: Path | None = None,
) -> None:
    """Write `values` to `table` and the figure to `picture`; then `show`, or print JSON if that is None.

    `page`: one that has been written, to be told, too.
    """
    write_findings(values, figure, table, picture)
    if show is None:
        paths = {"table": str(table), "figure": str(picture)}
        print_json({**values, **paths} | ({} if page is None else {"page": str(page)}))
        return
    show()
    print_line()
    print_line(f"Table    {table}")
    print_line(f"Figure   {picture}")
    if page is not None:
        print_line(f"Page     {page}")
