"""Runs that differ in nothing but the seed are one arm: its mean, and how far seeds are apart."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from qa_research.efficacy.figure import efficacy_figure
from qa_research.pages.document import Block, Column, Command, Paragraph, Section, Table, Text
from qa_research.report.comparison import Report
from qa_research.report.cost import states
from qa_research.report.glance import weights
from qa_research.report.pictures import picture
from qa_research.report.sources import Source, kinds_of, taken_from
from qa_research.runs.directory import flattened, has_no_effect, run_name
from qa_research.stats import CONFIDENCE
from qa_research.text import command_line


@taken_from("predictions/validation.json")
def mean_over_runs(source: Source, runs: Sequence[int], metric: str, kind: str, of: str) -> float:
    """Over some runs of the report: the mean of a score, an end of its interval, the least or the greatest.

    The interval is Student's t over runs, the examples being fixed. Example: 29, 31, 33 have the mean 31, the
    standard error 2 / sqrt(3) = 1.15 and, with t = 4.30, the interval 26.0 to 36.0.
    """
    values = np.array([source.siblings[run].scores[metric, kind].value for run in runs])
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * error
    known = {"mean": mean, "low": mean - half, "high": mean + half}
    return (known | {"least": float(values.min()), "greatest": float(values.max())})[of]


def arms_of(sources: Sequence[Source]) -> list[list[int]]:
    """The places of the runs that have the same config but for the seed, and questions; arms by first run."""
    arms: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        config = {
            key: value
            for key, value in flattened(source.entry.config).items()
            if key not in ("seed", "study") and not has_no_effect(key)
        }
        asked = source.entry.fingerprints.get("validation")
        key = json.dumps([config, asked], sort_keys=True, default=str)
        arms.setdefault(key, []).append(place)
    return list(arms.values())


def arms_section(report: Report) -> Section | None:
    """The scores of each arm over its seeds; None where every run is an arm of its own."""
    sources = report.runs
    arms = [arm for arm in arms_of(sources) if len(arm) > 1]
    metric = report.metric["name"]
    kinds = kinds_of(sources)
    scored = [
        arm
        for arm in arms
        if all((metric, kind) in sources[i].scores for i in arm for kind in kinds)
    ]
    if not scored or not kinds:
        return None
    columns = [Column("runs"), Column("seeds")]
    columns += [
        Column(f"{report.metric['label']}, {kind}: mean [95 %], least to most", True)
        for kind in kinds
    ]
    rows = tuple(_arm(sources, arm, metric, kinds) for arm in scored)
    caption = (
        "The interval is Student's t over the seeds, which are few: it is wide where they disagree.",
    )
    return Section("seeds", "Over seeds", (Table(tuple(columns), rows, caption),))


def _arm(
    sources: Sequence[Source], arm: list[int], metric: str, kinds: Sequence[str]
) -> tuple[Text, ...]:
    first = sources[arm[0]]
    seeds: list[Any] = []
    for place in arm:
        seeds += [*([", "] if seeds else []), sources[place].value("config", key="seed")]
    cells: list[Text] = []
    form = first.form_of(metric)
    for kind in kinds:
        found = {
            of: first.value("mean_over_runs", form, runs=arm, metric=metric, kind=kind, of=of)
            for of in ("mean", "low", "high", "least", "greatest")
        }
        cells.append(
            (
                *(found["mean"], " [", found["low"], ", ", found["high"], "], "),
                *(found["least"], " to ", found["greatest"]),
            )
        )
    name: Text = (first.value("config", key="model.name"),)
    if "weights" in first.entry.config["model"]:
        name = (*name, " from ", *weights(first))
    return (name, tuple(seeds), *cells)


def asked_section(report: Report) -> Section | None:
    """What the runs were asked until an answer was right, over the steps.

    None where nothing was asked of runs whose task need not call any answer right.
    """
    sources = report.runs
    heading = "Asked until right"
    found = [state for source in sources for state in states(source)]
    told = [state for state in found if state.ratio is not None and state.state.step is not None]
    if not told and not sources[0].has_questions:
        return None
    if not told:
        lack = Paragraph(("No questions have been asked of these runs yet.",), "lack")
        names = [run_name(source.directory) for source in sources]
        line = command_line("qa-research", "efficacy", "ask", names[0])
        return Section(
            "efficacy", heading, (lack, Command(line, "This asks the first run some questions:"))
        )
    data: dict[str, list[Any]] = {
        "run": [state.state.run for state in told],
        "step": [state.state.step for state in told],
        "right": [state.ratio.right for state in told if state.ratio],
        "asked": [state.ratio.asked for state in told if state.ratio],
        "low": [state.ratio.low for state in told if state.ratio],
        "high": [state.ratio.high for state in told if state.ratio],
    }
    blocks: tuple[Block, ...] = (
        picture(
            "right_over_steps",
            efficacy_figure(told),
            "The share of right answers over the optimizer steps with 95 % bands, one line for each run.",
            (
                f"The share of all asked {sources[0].examples} that were answered rightly, with exact 95 % "
                "intervals.",
            ),
            data,
        ),
    )
    return Section("efficacy", heading, blocks)
