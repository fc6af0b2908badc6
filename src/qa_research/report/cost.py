"""A report's last sections: what the run was asked until an answer was right, and what the training cost."""

from typing import Any

from qa_research.efficacy.standings import Standing, standings
from qa_research.ledger.runs import Ledger
from qa_research.pages.document import Block, Column, Command, Paragraph, Section, Table, Text
from qa_research.report.glance import looking
from qa_research.report.sources import Source, taken_from
from qa_research.runs.directory import run_name
from qa_research.runs.store import ledger_path
from qa_research.text import command_line


@taken_from("ledger.sqlite")
def standing(source: Source, place: int, of: str) -> Any:
    """Of the states of this run that were asked, in the ledger's order: a number of one of them."""
    found = states(source)[place]
    ratio = found.ratio
    known = {
        "step": found.state.step,
        "asked": found.asked,
        "searches": len(found.searches),
        "failed": found.failed,
        "value": None if ratio is None else 100 * ratio.value,
        "low": None if ratio is None else 100 * ratio.low,
        "high": None if ratio is None else 100 * ratio.high,
        "right": None if ratio is None else ratio.right,
        "unbiased": None if found.unbiased is None else 100 * found.unbiased,
        "median": found.needed.median,
        "most": found.needed.most,
    }
    return known[of]


def states(source: Source) -> list[Standing]:
    """What the run was asked, from the ledger of its folder of runs; nothing if there is none."""
    path = ledger_path(source.directory)
    if not path.is_file():
        return []
    with Ledger(path, read_only=True) as ledger:
        try:
            return standings(ledger, source.entry.id)
        except FileNotFoundError:
            return []


def efficacy_section(source: Source) -> Section:
    """How many questions it takes until one is answered rightly."""
    heading = "Asked until right"
    found = states(source)
    if not found:
        line = command_line("qa-research", "efficacy", "ask", run_name(source.directory))
        lack = Paragraph(("No questions have been asked of this run yet.",), "lack")
        return Section("efficacy", heading, (lack, Command(line, "This asks some questions:")))
    names = (
        "state",
        "split",
        source.examples,
        "right, % [95 %]",
        "searches",
        f"{source.examples} a search needs, median and 95 %",
    )
    columns = tuple(Column(name, place > 1) for place, name in enumerate(names))
    rows = tuple(_state(source, place, one) for place, one in enumerate(found))
    return Section("efficacy", heading, (Table(columns, rows),))


def _state(source: Source, place: int, found: Standing) -> tuple[Text, ...]:
    def value(of: str, form: str = "whole") -> Any:
        return source.value("standing", form, place=place, of=of)

    ratio: Text = ("–",)
    if found.ratio is not None:
        ratio = (value("value", "one"), " [", value("low", "one"), ", ", value("high", "one"), "]")
    needed: Text = (value("median"), ", ", value("most"))
    step: Text = ("step ", value("step")) if found.state.step is not None else ("unknown",)
    return (step, (found.source.split,), (value("asked"),), ratio, (value("searches"),), needed)


def cost_section(source: Source) -> Section:
    """Time, speed and what looking cost."""
    record, value = source.record, source.value
    rows: list[tuple[str, Text]] = []
    if record.get("train_s") is not None:
        rows.append(("training", (value("record", "seconds", key="train_s"),)))
        rows.append(("validation", (value("record", "seconds", key="validation_s"),)))
    if value("examples_per_second", "one").text != "unknown":
        pace = value("examples_per_second", "one")
        rows.append(("speed", (pace, f" {source.examples} a second of training")))
    if record.get("peak_memory_mb") is not None:
        rows.append(("memory", (value("record", "mb", key="peak_memory_mb"), " at the peak")))
    if record.get("capture"):
        rows.append(("looking inside", looking(source)))
        rows.append(("recording", (value("record", "mb", key="capture.mb"), " before compression")))
    if not rows:
        lack: Block = Paragraph(("The run has not recorded any times yet.",), "lack")
        return Section("cost", "Cost", (lack,))
    table = Table((Column(""), Column("")), tuple(((name,), text) for name, text in rows))
    return Section("cost", "Cost", (table,))
