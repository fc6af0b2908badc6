"""The report of several runs as a document: beside each other, on the same questions, with one slider."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qa_research.pages.document import (
    Block,
    Code,
    Column,
    Command,
    Document,
    Live,
    Paragraph,
    Section,
    Table,
    Text,
)
from qa_research.report.comparison import Report, ReportedRun
from qa_research.report.glance import score_words
from qa_research.report.live import curves_data, questions_data, risen_most, route_data
from qa_research.report.sources import Source, taken_from
from qa_research.runs.compare import Differences, side_by_side


@taken_from("predictions/validation.json")
def verdict(source: Source, second: int) -> str:
    """Which of two runs is better and how sure that is, by a paired comparison over the same examples."""
    other = source.siblings[second]
    pair = side_by_side([source.directory, other.directory]).pairs[0]
    return replace(pair, first=f"“{source.name}”", second=f"“{other.name}”").verdict


@taken_from("recording.zarr")
def attention_of_head(source: Source, layer: int, head: int, at: str) -> float:
    """The weight along the route of the answer's attention, at the first or last capture, in [0, 1]."""
    route = source.route
    if route is None:
        raise ValueError(
            f"{source.directory} has no attention from an answer to a word of the question"
        )
    place = 0 if at == "first" else -1
    return float(route.weight[place, route.layers.index(layer), head])


def several_report(report: Report, sources: Sequence[Source], title: str) -> Document:
    """The document of these runs; `sources` in the order of the report's."""
    makers = (_curves, _question, _head, _differences)
    sections = [section for make in makers for section in [make(report, sources)] if section]
    lacks = tuple(Paragraph((sentence,), "lack") for sentence in report.missing)
    if lacks:
        sections.append(Section("missing", "What is missing", lacks))
    return Document(
        title, (*_verdicts(sources), _glance(report, sources)), (*sections, _commands(sources))
    )


def _verdicts(sources: Sequence[Source]) -> list[Block]:
    return [
        Paragraph((sources[0].value("verdict", second=i),), "verdict")
        for i in range(1, len(sources))
    ]


def _glance(report: Report, sources: Sequence[Source]) -> Table:
    kinds = list(dict.fromkeys(kind for run in report.runs for kind in run.scores))
    label, metric = report.metric["label"], report.metric["name"]
    columns = [Column("run"), *(Column(f"{label}, {kind} [95 %]", True) for kind in kinds)]
    columns += [Column("steps", True), Column("training", True), Column("status")]
    rows = [
        _run_row(source, run, metric, kinds)
        for source, run in zip(sources, report.runs, strict=True)
    ]
    if report.guessing:
        guessed: list[Text] = [
            (sources[0].value("record", "one", key=f"guessing.{kind}"),)
            if kind in report.guessing
            else ("–",)
            for kind in kinds
        ]
        rows.append((("guessing among the right candidates",), *guessed, ("",), ("",), ("",)))
    caption: Text = (
        "At each run's best checkpoint, of the validation questions that did not choose it.",
    )
    return Table(tuple(columns), tuple(rows), caption)


def _run_row(
    source: Source, run: ReportedRun, metric: str, kinds: Sequence[str]
) -> tuple[Text, ...]:
    scores: list[Text] = [
        score_words(source, metric, kind) if kind in run.scores else ("–",) for kind in kinds
    ]
    steps: Text = (
        ("–",) if run.entry.steps is None else (source.value("record", "whole", key="steps"),)
    )
    time: Text = ("–",)
    if run.entry.train_s is not None:
        time = (source.value("record", "seconds", key="train_s"),)
    return ((source.value("called"),), *scores, steps, time, (source.value("status"),))


def _curves(report: Report, _: Sequence[Source]) -> Section | None:
    curves = [run.curves for run in report.runs]
    if not any(curves):
        return None
    names = [run.name for run in report.runs]
    label = report.metric["label"]
    live = Live("curves", curves_data(curves, names, report.guessing, label))
    return Section("curves", f"{label} over the training, %", (live,))


def _question(report: Report, _: Sequence[Source]) -> Section | None:
    shared = report.shared_questions
    if not shared:
        lack = Paragraph(("No question was watched in all of these runs.",), "lack")
        return Section("question", "The same question in each training", (lack,))
    films = [[run.films[question] for run in report.runs] for question in shared]
    live = Live("question", questions_data(films, [run.name for run in report.runs]))
    return Section("question", "The same question in each training", (live,))


def _head(report: Report, sources: Sequence[Source]) -> Section | None:
    riser = risen_most(report.runs)
    if riser is None:
        return None
    where = {"layer": riser["layer"], "head": riser["head"]}
    source = sources[riser["run"]]
    words: Text = (
        "Attention, in percent, from the answer to the words of the text that the question has, too: layer ",
        Code(str(riser["layer"])),
        ", head ",
        Code(str(riser["head"])),
        ", which of ",
        Code(str(riser["heads"])),
        " heads rose most with ",
        source.value("called"),
        ", from ",
        source.value("attention_of_head", "percent", **where, at="first"),
        " to ",
        source.value("attention_of_head", "percent", **where, at="last"),
        "; mean over the watched questions.",
    )
    hint = (
        "The largest of many changes is large by chance, too: the other lines show the same head there.",
    )
    live = Live("route", route_data(report.runs))
    blocks: tuple[Block, ...] = (live, Paragraph(words), Paragraph(hint, "hint"))
    return Section("head", "The attention head that turned", blocks)


def _differences(_: Report, sources: Sequence[Source]) -> Section | None:
    differing: Differences = side_by_side([source.directory for source in sources]).config
    if not differing:
        return None
    rows: list[tuple[Text, ...]] = [
        ((Code(key),), *((source.value("config", "setting", key=key),) for source in sources))
        for key in differing
    ]
    columns = (Column("key"), *(Column(source.name) for source in sources))
    return Section(
        "differences", "What differs in the configuration", (Table(columns, tuple(rows)),)
    )


def _commands(sources: Sequence[Source]) -> Section:
    lines: dict[str, Any] = dict.fromkeys(source.value("command").text for source in sources)
    return Section(
        "commands", "The commands that make these runs again", tuple(map(Command, lines))
    )
