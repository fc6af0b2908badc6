"""The head's weights, how far they have moved since the start by three measures, and which moved most."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, to_numpy
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.sites import output_layer

MEASURES = ("percent", "absolute", "standardised")
RANKED = 10

Floats = NDArray[np.float32]


class HeadWeightsRecorder(Recorder):
    """The weight of the head, complete. Percent change favours weights that started near zero, so it comes
    with two other measures, and with its correlation with 1/|w0|.
    """

    def prepare(self, key: str, subject: Subject) -> None:
        # The initial weights, even if a run is resumed: its checkpoint is loaded later.
        layer = output_layer(subject.network)
        self.first: Floats = to_numpy(layer.weight)
        self.rows = subject.watched.outputs.rows
        if len(self.rows) != len(self.first):
            raise ValueError(
                f"{key} needs a row of weights for each of {', '.join(self.rows)}; the output layer has "
                f"{len(self.first)}"
            )
        parameter = next(n for n, p in subject.network.named_parameters() if p is layer.weight)
        self.long_name = f"head weights ({parameter})"

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {
            "measure": Coordinate(("measure",), MEASURES),
            "unit": Coordinate(("unit",), np.arange(self.first.shape[1], dtype=np.int32)),
            "rank": Coordinate(("rank",), np.arange(1, self._ranked + 1, dtype=np.int32)),
        }

    @property
    def _ranked(self) -> int:
        return min(RANKED, len(self.first[0]))

    def record(self, forward: Forward) -> Mapping[str, Array]:
        weight = to_numpy(output_layer(forward.network).weight)
        change = changes(self.first, weight)
        order = np.argsort(-np.abs(change), axis=2, kind="stable")[:, :, : self._ranked]
        pearson, spearman = inverse_start_correlations(self.first, change[0])
        return {
            "weight": Array(("row", "unit"), weight, "1", self.long_name),
            "change": Array(
                ("measure", "row", "unit"),
                change,
                "percent, 1, standard deviations of the row's initial weights",
                "change since step 0 by each measure",
            ),
            "ranked_unit": Array(
                ("measure", "row", "rank"),
                order.astype(np.int32),
                "unit",
                "the units that changed most by each measure, the most changed first",
            ),
            "correlation": Array(
                ("row",),
                pearson,
                "1",
                "Pearson correlation of |percent change| with 1/|initial weight|",
            ),
            "rank_correlation": Array(
                ("row",),
                spearman,
                "1",
                "Spearman correlation of |percent change| with 1/|initial weight|",
            ),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        curves, histograms = {}, {}
        change = captured["change"].values
        for r, row in enumerate(self.rows):
            histograms[f"head_weights/{row}"] = captured["weight"].values[r]
            histograms[f"head_weights_change/{row}"] = change[1, r]
            curves[f"head_weights/{row}: mean absolute change"] = float(np.abs(change[1, r]).mean())
            correlation = float(captured["correlation"].values[r])
            if np.isfinite(correlation):
                curves[f"head_weights/{row}: percent change against 1÷|w0|"] = correlation
        return Summaries(curves=curves, histograms=histograms)


def changes(first: Floats, weight: Floats) -> Floats:
    """[measure, row, unit]: 100 (w - w0) / |w0|, w - w0, (w - w0) / standard deviation of the row's w0.

    Example: w0 = [0.001, 0.1] with a standard deviation of 0.05, w = [0.011, 0.12]. Percent: 1000 and 20;
    absolute: 0.01 and 0.02; standardised: 0.2 and 0.4. The unit near zero leads only in percent.
    """
    difference = (weight - first).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100 * difference / np.abs(first)
        standardised = difference / first.astype(np.float64).std(axis=1, keepdims=True)
    # A weight that started at exactly zero and did not move has not changed.
    measured = np.stack([percent, difference, standardised])
    return np.where(difference == 0, 0.0, measured).astype(np.float32)


def inverse_start_correlations(first: Floats, percent: Floats) -> tuple[Floats, Floats]:
    """Pearson's and Spearman's correlation of |percent change| with 1/|w0| by row; NaN before any change."""
    pearson, spearman = [], []
    for start, change in zip(
        first.astype(np.float64), np.abs(percent).astype(np.float64), strict=True
    ):
        kept = (start != 0) & np.isfinite(change)
        inverse, moved = 1 / np.abs(start[kept]), change[kept]
        if len(moved) < 2 or moved.std() == 0 or inverse.std() == 0:
            pearson.append(np.nan)
            spearman.append(np.nan)
            continue
        pearson.append(np.corrcoef(inverse, moved)[0, 1])
        spearman.append(spearmanr(inverse, moved).statistic)
    return np.array(pearson, dtype=np.float32), np.array(spearman, dtype=np.float32)
