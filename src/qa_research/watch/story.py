"""The verb watch: every watched question in a line, the film of one as page and strip, and figures of all
that was recorded about it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.capture.recording.reader import Recording
from qa_research.console import Screen, tracked
from qa_research.figures.attention import answer_to_match, attention_over_steps
from qa_research.figures.curves import fit_decay, question_losses, training_loss
from qa_research.figures.logits import logits_at_three_steps, logits_over_steps, unit_by_token
from qa_research.figures.saving import save_figure
from qa_research.figures.weights import (
    head_weight_change,
    head_weight_maps,
    head_weights_at_start,
)
from qa_research.files import write_text, written_folder
from qa_research.runs.metrics import number_in, read_metrics
from qa_research.runs.patched import PatchedQuestion, patched_question
from qa_research.watch.example import AnyFilm, ExampleFilm, hardest_example, make_example_film
from qa_research.watch.example_strip import example_strip
from qa_research.watch.film import Film, make_film, moved_most
from qa_research.watch.index import IndexRow, index_page, links_of, neighbours, page_name
from qa_research.watch.page import INDEX, FilmLink, example_page, film_page
from qa_research.watch.strip import film_strip

# Of capture.sites, which this verb does not import because it needs torch.
SITES = ("context", "attention_output", "mlp", "layer_output")


@dataclass(frozen=True)
class WatchedQuestion:
    """A watched example at the last captured step; `right_since`: the step, None if it is wrong now.

    A number is neither right nor wrong, and has no probability: both are None.
    """

    id: str
    split: str
    kind: str
    question: str
    expected: tuple[str, ...]
    answer: str
    is_right: bool | None
    probability: float | None
    right_since: int | None
    outcome: str


def _says(film: AnyFilm) -> str:
    """What a network says of an example, in a word."""
    if not isinstance(film, ExampleFilm):
        return "answer"
    return film.rows[0] if film.is_number else "label"


@dataclass(frozen=True)
class WatchResult:
    """What `watch` found and wrote; `shown`: the index of the example with the strip.

    `example`: what the examples are, in a word; `says`: what the network says of one. `pages`: the films that
    were made, `index` the page that lists all that are watched.
    """

    recording: Path
    step: int
    example: str
    says: str
    recorders: list[str]
    skipped: list[str]
    questions: list[WatchedQuestion]
    shown: int
    index: Path
    pages: list[Path]
    page: Path
    strip: Path
    figures: list[Path]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        return {
            "recording": str(self.recording),
            "step": self.step,
            "recorders": self.recorders,
            "left_out": self.skipped,
            "questions": [asdict(question) for question in self.questions],
            "index": str(self.index),
            "pages": [str(path) for path in self.pages],
            "page": str(self.page),
            "strip": str(self.strip),
            "figures": [str(path) for path in self.figures],
        }


def watch_question(
    recording: Recording,
    shown: int | None,
    run: str,
    folder: Path,
    metrics: Path | None,
    picture_format: str = "png",
    every: bool = False,
) -> WatchResult:
    """Write the film of the watched example `shown`, and the list of all, to `folder`; all or nothing.

    `shown`: its index; None chooses one. `run`: the run's name, for people. `metrics`: the run's metrics.csv,
    to draw every figure too; None draws none. `picture_format`: of the strip and the figures: png, svg or
    pdf. `every`: make the films of the other questions, too.

    Raises:
        ValueError: what the network says was not recorded, or the recording or patching.json is damaged.
    """
    films = films_without_attention(recording)
    shown = to_show(films) if shown is None else shown
    name = page_name(films[shown].question_id).removesuffix(".html")
    made = list(range(len(films))) if every else [shown]
    links = links_of(films, made, folder, run)
    rows = [IndexRow(film, href) for film, href in zip(films, links, strict=True)]
    drawn = []
    with written_folder(folder, replace=True) as new:
        for index, film in with_attention(recording, made):
            patched = patched_question(recording.path.parent, film.question_id)
            page, strip = _drawn(film, run, *neighbours(rows, index), patched)
            write_text(new / page_name(film.question_id), page)
            if index == shown:
                save_figure(strip(), new / f"{name}.{picture_format}")
        write_text(new / INDEX, index_page(rows, run))
        if metrics:
            for title, figure in figures_of(recording, shown, metrics):
                drawn.append(folder / name / f"{title}.{picture_format}")
                save_figure(figure, new / name / f"{title}.{picture_format}")
    return WatchResult(
        recording=recording.path,
        step=recording.step,
        example="question" if recording.outputs is None else "example",
        says=_says(films[0]),
        recorders=recording.recorders,
        skipped=recording.skipped,
        questions=[summarize(film) for film in films],
        shown=shown,
        index=folder / INDEX,
        pages=[folder / page_name(films[index].question_id) for index in made],
        page=folder / f"{name}.html",
        strip=folder / f"{name}.{picture_format}",
        figures=drawn,
    )


def _drawn(
    film: AnyFilm,
    run: str,
    before: FilmLink | None,
    after: FilmLink | None,
    patched: PatchedQuestion | None,
) -> tuple[str, Callable[[], Figure]]:
    """The page of a film, and what draws its strip."""
    if isinstance(film, ExampleFilm):
        return example_page(film, run, before, after), lambda: example_strip(film)
    return film_page(film, run, before, after, patched), lambda: film_strip(film)


def films_without_attention(recording: Recording) -> list[AnyFilm]:
    """The film of every watched example, from what the network says alone, which is read once.

    Raises:
        ValueError: that was not recorded.
    """
    make = _maker(recording)
    return [make(row, i, None, None) for i, row in enumerate(recording.questions)]


def film_of(recording: Recording, index: int) -> AnyFilm:
    """The film of the watched example at `index`, with attention as far as it was recorded.

    Raises:
        ValueError: what the network says was not recorded.
    """
    return next(film for _, film in with_attention(recording, [index]))


def with_attention(recording: Recording, indices: Sequence[int]) -> Iterator[tuple[int, AnyFilm]]:
    """(index, film) of some watched examples, with attention as far as it was recorded."""
    make = _maker(recording)
    attention, heads = (
        recording.read(name) if name in recording.recorders else None
        for name in ("attention", "heads")
    )
    for index in tracked(indices, "films"):
        yield index, make(recording.questions[index], index, attention, heads)


def _maker(recording: Recording) -> Callable[..., AnyFilm]:
    """What makes a film of (described example, index, attention, heads).

    Raises:
        ValueError: what the network says was not recorded.
    """
    says, group = recording.outputs, "outputs" if recording.outputs else "logits"
    if group not in recording.recorders:
        raise ValueError(
            f"{recording.path} has no {group}, which a film needs; it has "
            f"{', '.join(recording.recorders)}. Train with {group} in capture/recorders"
        )
    data = recording.read(group).load()
    if says is None:
        return lambda row, i, attention, heads: make_film(row, i, data, attention, heads)
    return lambda row, i, attention, heads: make_example_film(row, i, says, data, attention, heads)


def examples_of(recording: Recording) -> list[ExampleFilm]:
    """The films of a recording of another task; none if what the network says was not recorded."""
    if "outputs" not in recording.recorders:
        return []
    films = films_without_attention(recording)
    return [film for film in films if isinstance(film, ExampleFilm)]


def to_show(films: Sequence[AnyFilm]) -> int:
    """The index of the example to show unless one is named; the films are all of one kind."""
    examples = [film for film in films if isinstance(film, ExampleFilm)]
    if examples:
        return hardest_example(examples)
    return hardest_learned([film for film in films if isinstance(film, Film)])


def hardest_learned(films: Sequence[Film]) -> int:
    """The index of the question to show unless one is named.

    Of those that became right and are at the end, one of validation if there is one, and of these the one
    whose true span had the lowest probability on average over the captures: it was learned last. (The latest
    step at which an answer became right for good would often be that of an answer that wavered once.)
    If none became right, the first of validation.
    """
    order = [
        (
            bool(film.settled),
            film.split == "validation",
            -float(np.nanmean(film.true_probability)) if film.settled else 0.0,
            -i,
        )
        for i, film in enumerate(films)
    ]
    return -max(order)[3]


def summarize(film: AnyFilm) -> WatchedQuestion:
    """A watched example without its film."""
    since = film.settled
    is_number = isinstance(film, ExampleFilm) and film.is_number
    return WatchedQuestion(
        id=film.question_id,
        split=film.split,
        kind=film.kind,
        question=film.question,
        expected=film.true_texts,
        answer=film.answer_text(-1),
        is_right=None if is_number else bool(film.right[-1]),
        probability=None if is_number else float(film.true_probability[-1]),
        right_since=None if since is None else int(film.steps[since]),
        outcome=film.outcome,
    )


def show_result(result: WatchResult) -> None:
    """A line for each example; the one whose film was made is marked."""
    console = Screen()
    titles = ["", "id", result.example, "expected", f"{result.says} at step {result.step}"]
    rows = []
    for i, question in enumerate(result.questions):
        row = [
            ">" if i == result.shown else "",
            question.id,
            question.question,
            " | ".join(dict.fromkeys(question.expected)) or "(no answer)",
            question.answer or "(no answer)",
        ]
        if question.probability is not None:
            since = question.right_since
            row += [f"{100 * question.probability:.1f}", "-" if since is None else f"step {since}"]
        rows.append(row)
    if len(rows[0]) > len(titles):
        titles += [f"true {'span' if result.says == 'answer' else 'label'}, %", "right since"]
    console.table(
        titles,
        rows,
        right=set(range(5, len(titles))),
        dim={i for i, question in enumerate(result.questions) if question.is_right is False},
    )
    console.print()
    shown = result.questions[result.shown]
    console.print(f"{shown.question}: {shown.outcome}.")
    for sentence in result.skipped:
        console.print(sentence)


Figures = Iterator[tuple[str, Figure]]


def figures_of(recording: Recording, index: int, metrics: Path) -> Figures:
    """(name, figure) of everything recorded about the run and one question; `metrics`: its metrics.csv."""
    row = recording.questions[index]
    tokens, asked = [str(token) for token in row["tokens"]], str(row["question"])
    if metrics.is_file():
        steps, losses = _training_losses(metrics)
        if len(steps):
            yield "training_loss", training_loss(steps, losses, fit_decay(steps, losses))
    for name, draw in _DRAW.items():
        if name in recording.recorders:
            yield from draw(recording, index, tokens, asked)
    for name in recording.recorders:
        data = recording.read(name)
        # Of the first recorded unit.
        for site in SITES:
            if site in data.data_vars:
                unit = int(data["unit"].values[0])
                figure = unit_by_token(data, site, index, unit, tokens, asked)
                yield f"{name}_{site}_unit_{unit}_by_token", figure


def _draw_logits(recording: Recording, index: int, tokens: list[str], asked: str) -> Figures:
    data = recording.read("logits")
    yield "logits_over_steps", logits_over_steps(data, index, tokens, asked)
    three = logits_at_three_steps(data, index, tokens, asked, film_of(recording, index).turn)
    yield "logits_at_three_steps", three
    yield "question_losses", question_losses(data, index, asked)


def _draw_head_weights(recording: Recording, *_: Any) -> Figures:
    data = recording.read("head_weights")
    if 0 in data["step"].values:
        yield "head_weights_at_start", head_weights_at_start(data)
    yield "head_weight_change", head_weight_change(data)
    if data.sizes["step"] > 1:
        yield "head_weight_maps", head_weight_maps(data)


def _draw_attention(recording: Recording, index: int, tokens: list[str], asked: str) -> Figures:
    """The head whose attention changed most between the first and the last capture."""
    data = recording.read("attention")
    turn = film_of(recording, index).turn if "logits" in recording.recorders else None
    maps = data["weight"].isel(question=index, step=[0, -1]).to_numpy().astype(np.float64)
    layer, head = moved_most(*maps)
    number = int(data["layer"].values[layer])
    # The largest of many changes is large by chance, too.
    chosen = f"of {maps.shape[1] * maps.shape[2]} heads the one that changed most"
    figure = attention_over_steps(data, index, number, head, tokens, chosen, asked, turn)
    yield f"attention_layer_{number}_head_{head}", figure


def _draw_heads(recording: Recording, *_: Any) -> Figures:
    data = recording.read("heads")
    if recording.outputs is not None:
        return
    weight = data["group_weight"].sel(source="answer", target="match_context")
    if np.isfinite(weight.values.astype(np.float32)).any():
        yield "answer_to_match", answer_to_match(data)


_DRAW: Mapping[str, Callable[[Recording, int, list[str], str], Figures]] = {
    "logits": _draw_logits,
    "head_weights": _draw_head_weights,
    "attention": _draw_attention,
    "heads": _draw_heads,
}


def _training_losses(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = [row for row in read_metrics(path) if row.get("train/loss")]
    steps = np.array([int(row["step"]) for row in rows], dtype=np.int64)
    return steps, np.array([number_in(row, "train/loss", path) for row in rows])
