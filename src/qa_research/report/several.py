"""The report of several runs as a document: beside each other, on the same questions, with one slider."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qa_research.figures.lines import COLOURS, Line, lines_of_runs
from qa_research.pages.document import (
    Block,
    Code,
    Column,
    Command,
    Document,
    Key,
    Live,
    Paragraph,
    Picture,
    Piece,
    Quoted,
    Section,
    Table,
    Text,
)
from qa_research.report.arms import arms_of, arms_section, asked_section
from qa_research.report.comparison import Report
from qa_research.report.glance import CERTAIN, score_words
from qa_research.report.learning import MOST_DRAWN, by_kind
from qa_research.report.live import curves_data, questions_data, risen_most, route_data
from qa_research.report.passage import passage_of
from qa_research.report.pictures import picture
from qa_research.report.sources import Source, kinds_of, moment_of, taken_from
from qa_research.report.verdicts import kinds_compared, status_words
from qa_research.runs.compare import Differences
from qa_research.runs.directory import flattened, run_name
from qa_research.runs.family import parting_step
from qa_research.text import command_line, sentence_case
from qa_research.watch.film import Film

# Of a run's line: its class on the page, and its colour in print.
LINES = [(f"run-{place}", colour) for place, colour in enumerate(COLOURS)]


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


def several_report(report: Report, title: str) -> Document:
    """The document of these runs."""
    sources = report.runs
    makers = (_curves, arms_section, _question, _head, asked_section, _differences)
    sections = [section for make in makers for section in [make(report)] if section]
    lacks = tuple(Paragraph((sentence,), "lack") for sentence in report.missing)
    if lacks:
        sections.append(Section("missing", "What is missing", lacks))
    lead = (*_verdicts(sources), _about(sources), _glance(report))
    return Document(title, lead, (*sections, _commands(sources)), moment_of(sources))


def _verdicts(sources: Sequence[Source]) -> list[Block]:
    """Of each run against the first: on all examples, and by kind where there are several."""
    blocks: list[Block] = []
    for place, other in enumerate(sources[1:], 1):
        blocks.append(Paragraph((sources[0].value("verdict", second=place),), "verdict"))
        if kinds_compared(sources[0], other):
            blocks.append(Paragraph((sources[0].value("verdict_by_kind", second=place),)))
        if parting_step(sources[0].entry, other.entry) is not None:
            blocks.append(Paragraph((sources[0].value("parting", second=place),)))
    return blocks


def _about(sources: Sequence[Source]) -> Paragraph:
    """What the runs have in common, and how far a verdict on them goes."""
    first = sources[0]
    words: list[Piece] = []
    for name, key in (("Data: ", "data.name"), ("; network: ", "model.name")):
        values = {str(flattened(source.entry.config).get(key)) for source in sources}
        if len(values) == 1 and values != {"None"}:
            words += [name, first.value("config", key=key)]
    said = "These are single trainings: another seed may differ by more than the intervals say."
    if max(map(len, arms_of(sources))) > 1:
        said = "Runs that differ in the seed alone are told together below."
    return Paragraph((*words, ". " if words else "", said), "hint")


def _glance(report: Report) -> Table:
    sources = report.runs
    kinds = kinds_of(sources)
    label, metric, examples = report.metric["label"], report.metric["name"], sources[0].examples
    columns = [Column("run"), *(Column(f"{label}, {kind} [95 %]", True) for kind in kinds)]
    columns += [Column("steps", True), Column("best step", True)]
    columns += [Column("training", True), Column("status")]
    rows = [_run_row(source, metric, kinds) for source in sources]
    if report.guessing:
        guessed: list[Text] = [
            (sources[0].value("record", "one", key=f"guessing.{kind}"),)
            if kind in report.guessing
            else ("–",)
            for kind in kinds
        ]
        rows.append((("guessing",), *guessed, *([("",)] * 4)))
    caption: Text = (
        f"At each run's best checkpoint, of the validation {examples} that did not choose it."
        if not all(source.all_chose for source in sources)
        else f"At each run's best checkpoint, which all validation {examples} chose.",
        *([" Guessing is among the right candidates."] if report.guessing else []),
    )
    return Table(tuple(columns), tuple(rows), caption)


def _run_row(source: Source, metric: str, kinds: Sequence[str]) -> tuple[Text, ...]:
    scores: list[Text] = [
        score_words(source, metric, kind) if (metric, kind) in source.scores else ("–",)
        for kind in kinds
    ]
    steps: Text = (
        ("–",) if source.entry.steps is None else (source.value("record", "whole", key="steps"),)
    )
    best: Text = ("–",)
    if source.entry.best_step is not None:
        best = (source.value("record", "whole", key="best_step"),)
    time: Text = ("–",)
    if source.entry.train_s is not None:
        time = (source.value("record", "seconds", key="train_s"),)
    who: Text = (Key(*LINES[source.number % len(LINES)]), source.value("called"))
    if source.name.startswith("run "):
        who = (*who, ": ", source.value("name"))
    return (who, *scores, steps, best, time, status_words(source, is_brief=True))


def _curves(report: Report) -> Section | None:
    curves = [run.curves for run in report.runs]
    if not any(curves):
        return None
    names = [run.name for run in report.runs]
    label = report.metric["label"]
    data = curves_data(curves, names, report.guessing, report.metric)
    unit = ", %" if report.in_percent else ""
    live = Live("curves", data, (_curves_picture(report),))
    return Section("curves", f"{sentence_case(label)} over the training{unit}", (live,))


def _curves_picture(report: Report) -> Picture:
    kinds = list(dict.fromkeys(kind for run in report.runs for kind in run.curves))
    if len(kinds) > 1:
        kinds.remove("all")
    kinds = kinds if len(kinds) <= MOST_DRAWN else kinds[:MOST_DRAWN]
    lines = {
        kind: {
            run.name: (run.curves[kind].steps, run.curves[kind].values)
            for run in report.runs
            if kind in run.curves
        }
        for kind in kinds
    }
    levels = {kind: value for kind, value in report.guessing.items() if value < CERTAIN}
    label, of = report.metric["label"], by_kind(lines, report.runs[0].examples)
    axis = f"{label} on validation{', %' if report.in_percent else ''}"
    unit = ", in percent" if report.in_percent else ""
    return picture(
        "scores_over_steps",
        lines_of_runs(lines, axis, levels, report.in_percent),
        f"Lines of {label} over the optimizer steps, one for each run, {of}.",
        (f"{sentence_case(label)} at each validation{unit}, {of}.",),
        _columns(lines),
    )


def _question_on_paper(report: Report, question: str) -> Iterator[Block]:
    """The first of the shared questions, in each run at the end of its training."""
    first = report.runs[0].film_by_id[question]
    begin, end = first.truth
    true = (first.text.chars[begin][0], first.text.chars[end][1])
    yield Paragraph((Quoted(first.question), " True answer: ", _truth(first), "."))
    yield Paragraph((passage_of(first.text.context, true),))
    lines = {
        "": {
            run.name: (
                run.film_by_id[question].steps,
                100 * run.film_by_id[question].true_probability,
            )
            for run in report.runs
        }
    }
    yield picture(
        "true_answer_over_steps",
        lines_of_runs(lines, "probability of the true answer, %"),
        "The probability of the true answer over the optimizer steps, one line for each run.",
        ("The probability that each training gave the true answer of this question.",),
        _columns(lines),
    )
    rows = []
    for run in report.runs:
        film = run.film_by_id[question]
        rows.append(
            (
                (Key(*LINES[run.number % len(LINES)]), run.name),
                (Quoted(film.answer_text(len(film.steps) - 1) or "no answer"),),
                ("right" if film.right[-1] else "wrong",),
            )
        )
    columns = (Column("run"), Column("answer at the last capture"), Column(""))
    yield Table(columns, tuple(rows))


def _truth(film: Film) -> Quoted:
    return Quoted(" / ".join(dict.fromkeys(film.true_texts)) or "none in this text")


def _head_picture(report: Report, riser: Mapping[str, Any]) -> Picture:
    lines = {
        "": {
            run.name: (
                run.route.steps,
                100 * run.route.weight[:, run.route.layers.index(riser["layer"]), riser["head"]],
            )
            for run in report.runs
            if run.route is not None
            and riser["layer"] in run.route.layers
            and riser["head"] < run.route.weight.shape[2]
        }
    }
    return picture(
        "head_over_steps",
        lines_of_runs(lines, "attention, %"),
        "The attention of one head over the optimizer steps, one line for each run.",
        (
            "The attention of this head from the answer to context words that also occur in the question.",
        ),
        _columns(lines),
    )


def _columns(panels: Mapping[str, Mapping[str, Line]]) -> dict[str, list[Any]]:
    """The lines of a figure as columns: panel, run, step and value."""
    columns: dict[str, list[Any]] = {"panel": [], "run": [], "step": [], "value": []}
    for title, lines in panels.items():
        for name, (steps, values) in lines.items():
            n = len(steps)
            columns["panel"] += [title] * n
            columns["run"] += [name] * n
            columns["step"] += steps.tolist()
            columns["value"] += values.tolist()
    return columns


def _question(report: Report) -> Section | None:
    shared = report.shared_questions
    if not shared and not report.runs[0].has_questions:
        return None
    if not shared:
        lack = Paragraph(("No question was watched in all of these runs.",), "lack")
        return Section("question", "The same question in each training", (lack,))
    films = [[run.film_by_id[question] for run in report.runs] for question in shared]
    data = questions_data(films, [run.name for run in report.runs])
    live = Live("question", data, tuple(_question_on_paper(report, shared[0])))
    return Section("question", "The same question in each training", (live,))


def _head(report: Report) -> Section | None:
    riser = risen_most(report.runs)
    if riser is None:
        return None
    where = {"layer": riser["layer"], "head": riser["head"]}
    source = report.runs[riser["run"]]
    words: Text = (
        "Attention, in percent, from the answer to the context words that also occur in the question: layer ",
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
        "The head was picked because it changed most, and the largest of many changes is large by chance, "
        "too; the same head in the other runs is the comparison.",
    )
    live = Live("route", route_data(report.runs), (_head_picture(report, riser),))
    blocks: tuple[Block, ...] = (live, Paragraph(words), Paragraph(hint, "hint"))
    return Section("head", "The attention head that turned", blocks)


def _differences(report: Report) -> Section | None:
    sources = report.runs
    differing: Differences = sources[0].beside.config
    if not differing:
        return None
    rows: list[tuple[Text, ...]] = [
        ((Code(key),), *(_setting(source, key) for source in sources)) for key in differing
    ]
    columns = (Column("key"), *(Column(source.name) for source in sources))
    return Section(
        "differences", "What differs in the configuration", (Table(columns, tuple(rows)),)
    )


def _setting(source: Source, key: str) -> Text:
    """What a run's config has for a key, or that it has no such key."""
    if key not in flattened(source.entry.config):
        return ("absent",)
    return (source.value("config", "setting", key=key),)


def _commands(sources: Sequence[Source]) -> Section:
    lines = dict.fromkeys(command_line(*source.entry.command) for source in sources)
    names = [run_name(source.directory) for source in sources]
    check = Command(
        command_line("qa-research", "report", *names, "--verify"),
        "Every number above carries its origin; this takes each from the runs' files again:",
    )
    return Section(
        "commands", "The commands that make these runs again", (*map(Command, lines), check)
    )
