"""The watched questions of a run as a table on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from qa_research.capture.reading import Recording
from qa_research.report.watching import WatchedStory


def show_watched(recording: Recording, stories: Sequence[WatchedStory], shown: int) -> None:
    """A line a question; the one whose film is made is marked."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("id", no_wrap=True)
    for title in ("question", "expected", f"answer at step {recording.step}"):
        table.add_column(title, overflow="fold")
    table.add_column("true span, %", justify="right")
    table.add_column("right since", justify="right")
    for i, story in enumerate(stories):
        table.add_row(
            ">" if i == shown else "",
            story.id,
            story.question,
            " | ".join(dict.fromkeys(story.expected)) or "(no answer)",
            story.answer or "(no answer)",
            f"{100 * story.probability:.1f}",
            "-" if story.right_since is None else f"step {story.right_since}",
            style=None if story.is_right else "dim",
        )
    console.print(table)
    console.print()
    console.print(f"{stories[shown].question}: {stories[shown].outcome}.")
    for sentence in recording.thinned:
        console.print(sentence)
