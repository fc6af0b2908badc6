"""A report's section on where the time went: the phases that sampled stacks show, in all and over time."""

from collections.abc import Iterator, Sequence
from typing import Any

from qa_research.figures.phases import phases_over_time
from qa_research.ledger.stacks import Recording
from qa_research.pages.document import (
    Block,
    Column,
    Command,
    Paragraph,
    Picture,
    Section,
    Table,
    Text,
)
from qa_research.report.pictures import picture
from qa_research.report.sources import Source, taken_from
from qa_research.runs.directory import run_name
from qa_research.stacks.choosing import Chosen
from qa_research.stacks.flame import OTHER_COLOUR, phase_colours
from qa_research.stacks.shares import Share, shares, shares_over_time
from qa_research.stacks.verdict import judge
from qa_research.text import command_line

NAME, HEADING = "time", "Where the time went"
STRETCHES = 10
# Colour -> what its phases are called together.
GROUPS = {"setup": "setting up", OTHER_COLOUR: "other"}


@taken_from("ledger.sqlite")
def phase_time(source: Source, phase: str, of: str) -> float:
    """A phase's share of the samples, in percent, or its samples; `of`: value, low, high or samples."""
    found = next(share for share in shares(stacks_of(source).samples) if share.phase == phase)
    return found.count if of == "samples" else 100 * float(getattr(found, of))


@taken_from("ledger.sqlite")
def sampling(source: Source, of: str) -> float:
    """How the run was sampled: `samples` of all ranks, `ranks`, `seconds` of the longest, `cut` stacks."""
    chosen = stacks_of(source)
    if of == "seconds":
        return max(recording.to_s - recording.from_s for recording in chosen.recordings)
    known = {
        "samples": len(chosen.samples),
        "ranks": len(chosen.recordings),
        "cut": sum(sample.is_cut for sample in chosen.samples),
    }
    return known[of]


@taken_from("ledger.sqlite")
def time_verdict(source: Source) -> str:
    """What bounds the training, in one sentence."""
    return judge(stacks_of(source).recordings).sentence


def stacks_of(source: Source) -> Chosen:
    """The latest recording of a run's stacks.

    Raises:
        ValueError: there is none any more.
    """
    if source.stacks is None:
        raise ValueError(f"{run_name(source.directory)} has no recording of stacks")
    return source.stacks


def time_section(source: Source) -> Section:
    """What bounds the training, the share of each phase, and how these shares changed over time."""
    if source.stacks is None:
        line = command_line(
            "qa-research", "stacks", "--", *source.entry.command, "train.resume=never"
        )
        lack = Paragraph(("No stacks were sampled while this run was trained.",), "lack")
        return Section(
            NAME,
            HEADING,
            (lack, Command(line, "This trains it again and samples it; the first run is kept:")),
        )
    chosen = source.stacks
    blocks: list[Block] = [
        Paragraph((source.value("time_verdict"),), "verdict"),
        _table(source, shares(chosen.samples)),
        *_over_time(chosen.recordings[0], len(chosen.recordings) > 1),
        Command(
            command_line("qa-research", "stacks", "flame", run_name(source.directory)),
            "The lines of code behind it, as a flame graph:",
        ),
    ]
    return Section(NAME, HEADING, tuple(blocks))


def _table(source: Source, found: tuple[Share, ...]) -> Table:
    def value(share: Share, of: str, form: str = "one") -> Any:
        return source.value("phase_time", form, phase=share.phase, of=of)

    rows: list[tuple[Text, ...]] = [
        (
            (share.phase,),
            (value(share, "samples", "whole"),),
            (
                *(value(share, "value"), " [", value(share, "low"), ", "),
                *(value(share, "high"), "]"),
            ),
        )
        for share in found
    ]
    columns = (Column("phase"), Column("samples", True), Column("of the time, % [95 %]", True))
    return Table(columns, tuple(rows), tuple(_caption(source)))


def _caption(source: Source) -> Iterator[Any]:
    yield from (source.value("sampling", "whole", of="samples"), " samples at random times within ")
    yield source.value("sampling", "seconds", of="seconds")
    if len(stacks_of(source).recordings) > 1:
        yield from (", of ", source.value("sampling", "whole", of="ranks"), " ranks together")
    if sampling(source, "cut"):
        yield from ("; ", source.value("sampling", "whole", of="cut"))
        yield " had too many frames to show the outermost ones"
    yield "."


def _over_time(recording: Recording, is_of_several: bool) -> Iterator[Picture]:
    if recording.to_s <= recording.from_s or not recording.samples:
        return
    stretches = shares_over_time(recording.samples, recording.from_s, recording.to_s, STRETCHES)
    groups = _groups([share.phase for share in shares(recording.samples)])
    values = {
        name: [
            sum(share.value for share in stretch.shares if share.phase in phases)
            for stretch in stretches
        ]
        for name, (_, phases) in groups.items()
    }
    edges = [*(stretch.from_s for stretch in stretches), stretches[-1].to_s]
    fills = {name: colour for name, (colour, _) in groups.items()}
    figure = phases_over_time(edges, values, fills)
    yield picture(
        "phases_over_time",
        figure,
        f"Stacked bars of the shares of the phases in {STRETCHES} equal stretches of the time: "
        f"{', '.join(groups)}.",
        ("What the training did in each tenth of its time (of the first rank).",)
        if is_of_several
        else ("What the training did in each tenth of its time.",),
        {"from_s": edges[:-1], "to_s": edges[1:]} | values,
    )


def _groups(phases: Sequence[str]) -> dict[str, tuple[str, list[str]]]:
    """The names of bars, each with its colour and its phases: those of one colour are one bar."""
    colours = phase_colours(phases)
    groups: dict[str, tuple[str, list[str]]] = {}
    for phase in phases:
        together = [other for other in phases if colours[other] == colours[phase]]
        name = GROUPS.get(colours[phase], phase) if len(together) > 1 else phase
        groups.setdefault(name, (colours[phase], []))[1].append(phase)
    return groups
