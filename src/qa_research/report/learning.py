"""A report's curves: scores by kind over the steps, and the loss with its fit."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from qa_research.figures.curves import (
    NoFit,
    ScoreCurves,
    exact_match_by_kind,
    training_loss,
)
from qa_research.figures.reliability import confidence_over_steps
from qa_research.pages.document import (
    Block,
    Column,
    Live,
    Paragraph,
    Picture,
    Section,
    Table,
    Text,
    Value,
)
from qa_research.report.glance import score_words
from qa_research.report.live import curves_data
from qa_research.report.measures import Curve
from qa_research.report.pictures import picture
from qa_research.report.sources import Source
from qa_research.tasks.task import PERCENT, Metric
from qa_research.text import sentence_case, singular

# What a validation must have measured to tell how sure the network was.
CONFIDENCE = ("accuracy", "overconfidence", "loss", "loss_at_temperature")
# More kinds than this cannot be told apart in one panel; the table has them all.
MOST_DRAWN = 6


def scores_section(source: Source) -> Section:
    """The scores at the best checkpoint by kind, and how they came about."""
    if not source.scores:
        lack = Paragraph(("The run has not been validated yet, so it has no scores.",), "lack")
        return Section("scores", "Scores", (lack,))
    blocks: list[Block] = [_table(source)]
    metric = source.metrics[0]
    curves = source.curves
    if curves:
        guessing = source.record.get("guessing") or {}
        still = (curves_picture(curves, guessing, metric, source.examples),)
        blocks.append(Live("curves", curves_data([curves], [""], guessing, metric), still))
    return Section("scores", "Scores", tuple(blocks))


def _table(source: Source) -> Table:
    kinds = ["all", *(kind for kind in source.kinds if kind != "all")]
    guessing = source.record.get("guessing") or {}
    columns = [Column("kind"), Column(source.examples, True)]
    columns += [Column(f"{metric['label']} [95 %]", True) for metric in source.metrics]
    columns += [Column("guessing", True)] if guessing else []
    rows = []
    for kind in kinds:
        first = source.metrics[0]["name"]
        row: list[Text] = [
            (kind,),
            (source.value("score", "whole", metric=first, kind=kind, end="total"),),
        ]
        for metric in source.metrics:
            row.append(score_words(source, metric["name"], kind))
        if guessing:
            row.append(
                (source.value("record", "one", key=f"guessing.{kind}"),)
                if kind in guessing
                else ("–",)
            )
        rows.append(tuple(row))
    rows += [_baseline(source, name) for name in source.record.get("baselines", {})]
    caption: Text = (
        "At step ",
        source.value("record", "whole", key="best_step"),
        ", the best validation of ",
        source.value("validations", "whole"),
        f"; all {source.examples} chose it."
        if source.all_chose
        else f"; of the {source.examples} that did not choose it.",
    )
    return Table(tuple(columns), tuple(rows), caption)


def _baseline(source: Source, name: str) -> tuple[Text, ...]:
    """What a model that the run is told beside scored on the same examples."""

    def value(metric: str, end: str, form: str) -> Value:
        return source.value("record", form, key=f"baselines.{name}.{metric}.{end}")

    row: list[Text] = [(name,), (value(source.metrics[0]["name"], "total", "whole"),)]
    for metric in source.metrics:
        known, form = metric["name"], source.form_of(metric["name"])
        low, high = value(known, "low", form), value(known, "high", form)
        row.append((value(known, "value", form), " [", low, ", ", high, "]"))
    return tuple(row)


def curves_picture(
    curves: Mapping[str, Curve], guessing: Mapping[str, float], metric: Metric, examples: str
) -> Picture:
    """A run's curves on paper."""
    kinds = [kind for kind in curves if kind != "all"]
    if not kinds or len(kinds) > MOST_DRAWN:
        kinds = ["all"]
    steps = curves[kinds[0]].steps
    # Kinds are measured at the same validations.
    shown = {kind: curves[kind].values for kind in kinds if len(curves[kind].steps) == len(steps)}
    label, in_percent = metric["label"], metric["scale"] == PERCENT
    figure = exact_match_by_kind({"": [ScoreCurves(steps, shown)]}, guessing, label, in_percent)
    unit = ", in percent" if in_percent else ""
    return picture(
        "scores_over_steps",
        figure,
        f"Lines of {label} over the optimizer steps, {by_kind(shown, examples)}: {', '.join(shown)}.",
        (f"{sentence_case(label)} at each validation{unit}, {by_kind(shown, examples)}.",),
        {"step": steps.tolist()} | {kind: values.tolist() for kind, values in shown.items()},
    )


def by_kind(shown: Collection[str], examples: str) -> str:
    """What each line of a chart is of: `by kind of question`, or where there are no kinds, of all."""
    if set(shown) == {"all"}:
        return f"of all {examples}"
    return f"by kind of {singular(examples)}"


def learning_section(source: Source) -> Section:
    """The loss of the batches, and where it goes."""
    steps, losses = source.losses
    finite = np.isfinite(losses)
    if not finite.any():
        lack = Paragraph(("No step has a loss yet.",), "lack")
        return Section("learning", "Loss", (lack,))
    unit = source.loss_unit.strip()
    figure = training_loss(steps[finite], losses[finite], source.fit, unit)
    drawn = picture(
        "training_loss",
        figure,
        "The loss of each training batch over the optimizer steps, with a fitted decay if there is one.",
        _fit_words(source),
        {"step": steps.tolist(), "loss": losses.tolist()},
    )
    words: list[Any] = [
        "The loss of the first batch was ",
        source.value("metric", "two", column="train/loss", at="first"),
        f"{source.loss_unit}, that of the last ",
        source.value("metric", "two", column="train/loss"),
        ".",
    ]
    return Section("learning", "Loss", (drawn, Paragraph(tuple(words))))


def has_confidence(source: Source) -> bool:
    """Whether validations measured how sure the network was."""
    return all(len(source.column(f"val/{name}").steps) for name in CONFIDENCE)


def confidence_section(source: Source) -> Section:
    """How sure the network was at each validation, beside how often it was right."""
    found = {name: source.column(f"val/{name}") for name in CONFIDENCE}
    accuracy, over, loss, fitted = (found[name].values for name in CONFIDENCE)
    steps, examples = found[CONFIDENCE[0]].steps, source.examples
    losses = {"loss": loss, "loss at the fitted temperature": fitted}
    drawn = picture(
        "confidence_over_steps",
        confidence_over_steps(steps, accuracy, accuracy + over, losses),
        "Two panels over the optimizer steps: accuracy and mean confidence; the loss as it is, and at the "
        "fitted temperature.",
        (f"Each validation, of the {examples} that chose nothing.",),
        {"step": steps.tolist()} | {name: curve.values.tolist() for name, curve in found.items()},
    )
    words = (
        "A wrong answer costs the more the surer the network is of it, without end. Where accuracy does not "
        f"fall and the loss rises, the network is only too sure; a temperature fitted on other {examples}, "
        "which changes no answer, takes that away.",
    )
    return Section("confidence", "Confidence", (drawn, Paragraph(words)))


def _fit_words(source: Source) -> Text:
    if isinstance(source.fit, NoFit):
        return ("No decay is drawn: ", source.value("no_fit"), ".")
    low, high = (
        source.value("decay", "digits", of="low"),
        source.value("decay", "digits", of="high"),
    )
    words: Text = (
        "The fitted decay explains ",
        source.value("decay", "percent", of="r2"),
        " of the variance",
    )
    if source.fit.level[0] < 0:
        return (
            *words,
            "; where it levels off these steps do not say (the interval, ",
            low,
            " to ",
            high,
            f"{source.loss_unit}, reaches below zero).",
        )
    return (
        *words,
        " and levels off between ",
        low,
        " and ",
        high,
        f"{source.loss_unit} (95 %, for independent noise).",
    )
