"""A report's view of the output layer's weights: at step 0, and how they changed by three measures."""

import numpy as np
import xarray as xr

from qa_research.figures.weights import (
    MEASURES,
    QA_ROWS,
    head_weight_change,
    head_weight_maps,
    head_weights_at_start,
    output_layer,
    rows_of,
)
from qa_research.pages.document import Block, Code, Column, Paragraph, Piece, Section, Table, Text
from qa_research.report.pictures import picture
from qa_research.report.sources import Source, taken_from, unreadable

GROUP = "head_weights"
RANKED = 5
_FORMS = {"percent": "signed_whole", "absolute": "signed_digits", "standardised": "signed"}
_UNITS = {"percent": " %", "absolute": "", "standardised": ""}


@taken_from("recording.zarr")
def ranked_unit(source: Source, measure: str, row: str, rank: int) -> int:
    """The unit whose weight changed most (`rank` 1), or less, from step 0 to the last capture."""
    return int(_latest(source)["ranked_unit"].sel(measure=measure, row=row, rank=rank).item())


@taken_from("recording.zarr")
def weight_change(source: Source, measure: str, row: str, rank: int) -> float:
    """The change of that unit's weight."""
    unit = ranked_unit(source, measure, row, rank)
    return float(_latest(source)["change"].sel(measure=measure, row=row, unit=unit).item())


@taken_from("recording.zarr")
def start_correlation(source: Source, row: str, of: str = "correlation") -> float:
    """The correlation of |percent change| with 1 / |w0|; `of`: correlation or rank_correlation."""
    return float(_latest(source)[of].sel(row=row).item())


def _latest(source: Source) -> xr.Dataset:
    return source.groups[GROUP].isel(step=-1)


def has_weights(source: Source) -> bool:
    """Whether the output layer's weights were recorded."""
    return GROUP in source.groups and bool(source.groups[GROUP].sizes["step"])


def weights_section(source: Source) -> Section:
    """The weights of the output layer."""
    heading = "Weights of the QA output layer"
    if not has_weights(source):
        words: Text = (
            "The weights of the QA output layer were not recorded; a training with ",
            Code("capture=default"),
            " does it.",
        )
        return Section("weights", heading, (Paragraph(words, "lack"), *unreadable(source)))
    data = source.groups[GROUP]
    heading = f"Weights of the {output_layer(rows_of(data))}"
    blocks: list[Block] = []
    if int(data["step"].values[0]) == 0:
        blocks.append(_start(data))
    blocks += [_change(source, data), _ranking(source), Paragraph(_correlations(source))]
    if data.sizes["step"] > 1:
        blocks.append(_over_steps(data))
    return Section("weights", heading, tuple(blocks))


def _start(data: xr.Dataset) -> Block:
    weight = data["weight"].isel(step=0)
    return picture(
        "head_weights_at_start",
        head_weights_at_start(data),
        _alt(rows_of(data)),
        (
            "The weights as the training began; named is the one nearest to zero, whose change in percent "
            "will look large.",
        ),
        {"unit": data["unit"].values.tolist()}
        | {row: weight.sel(row=row).values.tolist() for row in rows_of(data)},
    )


def _alt(rows: list[str]) -> str:
    if rows == QA_ROWS:
        return "The weights of the start row and of the end row of the QA output layer by unit at step 0."
    return (
        f"The weights of the output layer by unit at step 0, a row for each of {', '.join(rows)}."
    )


def _change(source: Source, data: xr.Dataset) -> Block:
    latest = data["change"].isel(step=-1)
    columns = {
        f"{row} {measure}": latest.sel(measure=measure, row=row).values.tolist()
        for measure in MEASURES
        for row in rows_of(data)
    }
    return picture(
        "head_weight_change",
        head_weight_change(data),
        "The change of each weight in percent, absolute and in standard deviations of the first weights.",
        (
            "The same change by three measures, up to step ",
            source.value("last_capture", "whole", group=GROUP),
            ". Where they name different units, the percentage says which weight began near zero, not which "
            "one learned.",
        ),
        {"unit": data["unit"].values.tolist()} | columns,
    )


def _over_steps(data: xr.Dataset) -> Block:
    sizes = abs(data["change"]).mean("unit")
    columns = {
        f"mean of the {row} row, {measure}": sizes.sel(measure=measure, row=row).values.tolist()
        for measure in MEASURES
        for row in rows_of(data)
    }
    return picture(
        "head_weight_maps",
        head_weight_maps(data),
        "Maps of each weight's change over the steps by three measures, and the mean size of the change.",
        (
            "The change of each weight at each recorded step, and the mean size of the change. Colours end "
            "where all but one in a hundred of a measure's changes lie: in percent a few weights would leave "
            "all others white.",
        ),
        {"step": data["step"].values.tolist()} | columns,
    )


def _ranking(source: Source) -> Table:
    rows_named = rows_of(source.groups[GROUP])
    names = [(measure, row) for measure in MEASURES for row in rows_named]
    columns = (Column("rank"), *(Column(f"{measure}, {row}", True) for measure, row in names))
    rows = []
    ranks = min(RANKED, source.groups[GROUP].sizes["rank"])
    for rank in range(1, ranks + 1):
        cells: list[Text] = [(f"{rank}.",)]
        for measure, row in names:
            unit = source.value("ranked_unit", "whole", measure=measure, row=row, rank=rank)
            change = source.value(
                "weight_change", _FORMS[measure], measure=measure, row=row, rank=rank
            )
            cells.append((unit, ": ", change, _UNITS[measure]))
        rows.append(tuple(cells))
    return Table(
        columns,
        tuple(rows),
        ("The units whose weights changed most, by each measure: unit and change.",),
    )


def _correlations(source: Source) -> Text:
    rows = rows_of(source.groups[GROUP])
    if any(np.isnan(start_correlation(source, row)) for row in rows):
        return ("The correlation of the percent change with 1 / |w₀| is not defined.",)
    words: list[Piece] = ["Over all units the percent change correlates with 1 / |w₀| by "]
    for place, row in enumerate(rows):
        words += [
            " and " if place else "",
            source.value("start_correlation", "signed", row=row),
            f" in the {row} row (ranks: ",
            source.value("start_correlation", "signed", row=row, of="rank_correlation"),
            ")",
        ]
    return (*words, ".")
