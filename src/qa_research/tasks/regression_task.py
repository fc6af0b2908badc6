"""What tasks share whose network says one number of each example: what runs measure, write and show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from qa_research.model.ridge import RidgeNetwork
from qa_research.model.weights import weights_fingerprint
from qa_research.tasks.asked_numbers import rows_of
from qa_research.tasks.scoring import Score, score_of
from qa_research.tasks.task import Metric, Task
from qa_research.text import aligned

if TYPE_CHECKING:
    from qa_research.tasks.regression import NumberModule
    from qa_research.tasks.regression_data import NumberData

PEARSON, SPEARMAN = "val/pearson", "val/spearman"


class RegressionTask(Task):
    """Rows of vectors, and a number of each; every result is told beside two ridge regressions.

    `baseline_kmer`, `baseline_penalties`: of these; see `regression.Ridge`. `position`: what each vector is
    of, in a word such as `letter`.
    """

    afterwards_without_steps: ClassVar[bool] = True
    position: ClassVar[str] = "position"
    data: "NumberData"
    module: "NumberModule"

    def __init__(
        self,
        examples: str,
        metrics: list[Metric],
        data: Any,
        model: Any,
        baseline_kmer: int,
        baseline_penalties: list[float],
    ) -> None:
        super().__init__(examples, metrics, data, model)
        self.baseline_kmer = baseline_kmer
        self.baseline_penalties = baseline_penalties
        self.baselines: dict[str, dict[str, Score]] = {}

    def load(self, cache: Path, seed: int) -> list[str]:
        self.data.load()
        report = self.module.build(seed)
        # Those of a ridge are solved later, and may differ in the last digit on another machine.
        self.initial_weights = weights_fingerprint(self.network)
        return [report]

    def prepare(self, cache: Path, seed: int) -> None:
        self.data.order_seed = seed
        self.module.fit(self.data)
        kinds = {
            f"{self.position}s by place": None,
            f"counts of {self.baseline_kmer} {self.position}s": self.baseline_kmer,
        }
        self.baselines = {f"ridge on {name}": self._baseline(kmer) for name, kmer in kinds.items()}

    def _baseline(self, kmer: int | None) -> dict[str, Score]:
        """What a ridge scores on the examples that chose nothing."""
        from qa_research.tasks.parted import SCORED, SPLITS
        from qa_research.tasks.regression import solve

        data = self.data
        longest = max(int(data.lengths(split).max()) for split in SPLITS)
        network = RidgeNetwork(self.module.units, longest, kmer)
        labels = data.labels("train")
        network.standardise(float(labels.mean()), float(labels.std()))
        solve(network, data, self.baseline_penalties)
        places = data.which(SCORED)
        rows = [data.validation[place] for place in places]
        groups = [data.groups[place] for place in places]
        return self._scores(rows_of(network, rows, data.vectors, groups))

    def _scores(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Score]:
        return {metric["name"]: score_of(rows, metric) for metric in self.metrics}

    def fingerprints(self) -> dict[str, str]:
        return self.data.fingerprints() | {"weights": self.initial_weights}

    def example(self) -> dict[str, Tensor]:
        batch = self.data.batches_of("train").__getitems__([0])
        return {name: batch[name] for name in ("vectors", "mask")}

    def facts(self) -> dict[str, Any]:
        data = self.data
        return {
            "data": data.name,
            self.examples: {
                "train": len(data.train),
                "validation": len(data.validation),
                "choosing": data.sizes["choosing"],
                "test": len(data.test),
            },
            "parameters": self._parameters(),
            "baselines": {name: _plain(scores) for name, scores in self.baselines.items()},
        }

    def _parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    def description(self) -> list[str]:
        data = self.data
        count, total = data.sizes["choosing"], len(data.validation)
        lengths = data.lengths("train")
        return [
            f"Data: {data.name}, {len(data.train):,} training and {total:,} validation {self.examples} of "
            f"{lengths.min()} to {lengths.max()} {self.position}s",
            f"Model: {self.module.name}, {self._parameters():,} parameters",
            f"{count:,} of the validation {self.examples} "
            f"(data.choosing_share={data.shares['choosing']:g}, data.seed={data.seed}) choose the best "
            f"weights; val/... are the scores of the other {total - count:,}, which choose nothing",
        ]

    def measured(self) -> list[str]:
        return self.module.measured

    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        steps = measured.get("val/steps")
        details = "" if steps is None else f"  ({steps:.2f} steps a {self.position})"
        return f"r {measured[PEARSON]:.3f}  rho {measured[SPEARMAN]:.3f}", details

    def predictions(self) -> list[dict[str, Any]]:
        module = self.module
        rows = [
            {"id": row.id, "prediction": float(said), "truth": row.label}
            for row, said in zip(self.data.validation, module.predicted, strict=True)
        ]
        if module.steps is not None:
            rows = [
                row | {"steps": float(own)} for row, own in zip(rows, module.steps, strict=True)
            ]
        return self.data.marked(rows)

    def afterwards(self, is_stopped: Callable[[], bool]) -> dict[str, Any]:
        data = self.data
        if not data.test or is_stopped():
            return {}
        groups = data.groups_of(data.test)
        rows = rows_of(self.network.eval(), data.test, data.vectors, groups)
        return {"test": _plain(self._scores(rows))}

    def result(self, record: Mapping[str, Any]) -> list[str]:
        best = record["best"]
        table = [["", *(metric["label"] for metric in self.metrics)]]
        table.append(["this run", *(f"{best[metric['name']]:.3f}" for metric in self.metrics)])
        told = {**record.get("baselines", {})}
        if "test" in record:
            told[f"this run on the test {self.examples}"] = record["test"]
        for name, scores in told.items():
            cells = [scores[metric["name"]] for metric in self.metrics]
            table.append(
                [name, *(f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells)]
            )
        lines = aligned(table, set())
        if counts := record.get(self.examples, {}):
            others = counts["validation"] - counts["choosing"]
            lines.append(
                f"{others:,} validation {self.examples} that chose nothing; the {counts['choosing']:,} that "
                f"chose these weights: {best['choosing/pearson']:.3f}"
            )
        return lines

    def write_model(self, directory: Path) -> None:
        """Nothing: the run's config says what its network is."""


def _plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {metric: asdict(score) for metric, score in scores.items()}
