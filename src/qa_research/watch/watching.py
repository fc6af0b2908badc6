"""What was seen of a run's watched questions: a table of all of them, the film of one, and its figures.

The watched questions of a run as a table on the terminal.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from qa_research.capture.recording.reader import Recording
from qa_research.figures.activations import unit_by_token
from qa_research.figures.attention import answer_to_match, attention_over_steps
from qa_research.figures.logits import logits_at_three_steps, logits_over_steps
from qa_research.figures.losses import fit_decay, question_losses, training_loss
from qa_research.figures.weights import head_weight_change, head_weights_at_start
from qa_research.watch.film import Film, make_film
from qa_research.watch.page import film_page
from qa_research.watch.strip import film_strip

DPI = 130
PLACES = ("context", "attention_output", "mlp", "layer_output")


@dataclass(frozen=True)
class WatchedStory:
    """One watched question over the training: what it became at the last captured step."""

    id: str
    split: str
    kind: str
    question: str
    expected: tuple[str, ...]
    answer: str
    is_right: bool
    probability: float
    right_since: int | None
    outcome: str


def find_question(recording: Recording, wanted: str | None) -> int:
    """The place of a watched question by its id or a part of it that only it has; None is the first.

    Raises:
        ValueError: none or several fit.
    """
    ids = [str(row["id"]) for row in recording.questions]
    if wanted is None:
        return 0
    fitting = [i for i, name in enumerate(ids) if name == wanted]
    fitting = fitting or [i for i, name in enumerate(ids) if wanted in name]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(ids[i] for i in (fitting or range(len(ids)))[:8])
    more = f" and {len(ids) - 8} more" if not fitting and len(ids) > 8 else ""
    what = f"fits {len(fitting)} watched questions" if fitting else "was not watched; these were"
    raise ValueError(f"--question {wanted} {what}: {shown}{more}")


def film_of(recording: Recording, index: int) -> Film:
    """The film of the watched question at `index`.

    Raises:
        ValueError: the logits, which a film is made of, were not recorded.
    """
    if "logits" not in recording.recorders:
        raise ValueError(
            f"{recording.path} has no logits, which a film shows; it has "
            f"{', '.join(recording.recorders)}. Train with logits among capture/recorders"
        )
    attention, heads = (
        recording.read(name) if name in recording.recorders else None
        for name in ("attention", "heads")
    )
    logits = recording.read("logits")
    return make_film(recording.questions[index], index, logits, attention, heads)


def story_of(recording: Recording, index: int) -> WatchedStory:
    """What became of a watched question."""
    film = make_film(recording.questions[index], index, recording.read("logits"))
    first, last = film.answers[-1]
    since = film.settled
    return WatchedStory(
        id=film.question_id,
        split=film.split,
        kind=film.kind,
        question=film.question,
        expected=film.true_texts,
        answer=film.text(int(first), int(last)) if last else "",
        is_right=bool(film.right[-1]),
        probability=float(film.true_probability[-1]),
        right_since=None if since is None else int(film.steps[since]),
        outcome=film.outcome,
    )


def figures_of(recording: Recording, index: int, metrics: Path) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of all that was recorded of the run and of one question; `metrics`: its metrics.csv."""
    tokens = [str(token) for token in recording.questions[index]["tokens"]]
    if metrics.is_file():
        steps, losses = _training_losses(metrics)
        if len(steps):
            yield "training_loss", training_loss(steps, losses, fit_decay(steps, losses))
    for name, draw in _DRAWN.items():
        if name in recording.recorders:
            yield from draw(recording, index, tokens)
    for name in recording.recorders:
        data = recording.read(name)
        for place in (p for p in PLACES if p in data.data_vars):
            unit = int(data["unit"].values[0])
            figure = unit_by_token(data, place, index, unit, tokens)
            yield f"{name}_{place}_unit_{unit}_by_token", figure


def write_film(film: Film, folder: Path, run: str) -> tuple[Path, Path]:
    """Write a film's page and its strip, named after the question; where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    # A dot would make part of the name a file's ending.
    name = re.sub(r"[^\w-]+", "_", film.question_id)[:80]
    page, strip = folder / f"{name}.html", folder / f"{name}.png"
    page.write_text(film_page(film, f"{film.question} - {run}"), encoding="utf-8")
    save(film_strip(film), strip)
    return page, strip


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


Drawn = Iterator[tuple[str, Figure]]


def _logits(recording: Recording, index: int, tokens: list[str]) -> Drawn:
    data = recording.read("logits")
    yield "logits_over_steps", logits_over_steps(data, index, tokens)
    yield "logits_at_three_steps", logits_at_three_steps(data, index, tokens)
    yield "question_losses", question_losses(data, index)


def _head_weights(recording: Recording, *_: Any) -> Drawn:
    data = recording.read("head_weights")
    if 0 in data["step"].values:
        yield "head_weights_at_start", head_weights_at_start(data)
    yield "head_weight_change", head_weight_change(data)


def _attention(recording: Recording, index: int, tokens: list[str]) -> Drawn:
    """The head whose attention changed most between the first and the last capture."""
    data = recording.read("attention")
    maps = data["weight"].isel(question=index, step=[0, -1]).astype(np.float32)
    moved = np.abs(maps.values[1] - maps.values[0])
    layer, head = np.unravel_index(int(np.nansum(moved, axis=(2, 3)).argmax()), moved.shape[:2])
    number = int(data["layer"].values[layer])
    figure = attention_over_steps(data, index, number, int(head), tokens)
    yield f"attention_layer_{number}_head_{head}", figure


def _heads(recording: Recording, *_: Any) -> Drawn:
    data = recording.read("heads")
    pointed = data["group_weight"].sel(source="answer", target="match_context")
    if np.isfinite(pointed.values.astype(np.float32)).any():
        yield "answer_to_match", answer_to_match(data)


_DRAWN: Mapping[str, Callable[[Recording, int, list[str]], Drawn]] = {
    "logits": _logits,
    "head_weights": _head_weights,
    "attention": _attention,
    "heads": _heads,
}


def _training_losses(path: Path) -> tuple[Any, Any]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("train/loss")]
    steps = np.array([int(row["step"]) for row in rows])
    return steps, np.array([float(row["train/loss"]) for row in rows])


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
