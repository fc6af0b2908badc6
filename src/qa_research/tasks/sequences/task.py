"""Sequence regression as a task: what its runs read, measure, write and show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from qa_research.model.ridge import RidgeNetwork
from qa_research.model.weights import weights_fingerprint
from qa_research.tasks.opened import Opened
from qa_research.tasks.scoring import Score, score_of
from qa_research.tasks.sequences.opened import reopen, rows_of
from qa_research.tasks.sequences.sequence import LETTERS, LabelledSequence
from qa_research.tasks.sequences.watched import watched_sequences
from qa_research.tasks.task import PARAGRAPH, Metric, StoredRun, Task
from qa_research.tasks.watching import Watching, choose_examples
from qa_research.text import aligned, command_line

if TYPE_CHECKING:
    from qa_research.tasks.regression import NumberModule
    from qa_research.tasks.sequences.data import SequenceData

PEARSON, SPEARMAN = "val/pearson", "val/spearman"


class SequenceTask(Task):
    """Sequences of letters, and a number of each.

    `baseline_kmer`, `baseline_penalties`: of the ridge regressions that every result is told beside; see
    `regression.Ridge`.
    """

    fingerprinted: ClassVar[Mapping[str, str]] = {
        "train": "training sequences",
        "validation": "validation sequences",
        "weights": "initial weights",
    }
    reopened: ClassVar[Sequence[str] | None] = ()
    afterwards_without_steps: ClassVar[bool] = True
    data: "SequenceData"
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
        self.data.load(self.module.max_positions)
        report = self.module.build(seed)
        # Those of a ridge are solved later, and may differ in the last digit on another machine.
        self.initial_weights = weights_fingerprint(self.network)
        return [report]

    def prepare(self, cache: Path, seed: int) -> None:
        self.data.order_seed = seed
        self.module.fit(self.data)
        self.baselines = {
            f"ridge on {name}": self._baseline(kmer)
            for name, kmer in {
                "letters by place": None,
                f"counts of {self.baseline_kmer} letters": self.baseline_kmer,
            }.items()
        }

    def _baseline(self, kmer: int | None) -> dict[str, Score]:
        """Pearson and Spearman of a ridge on the sequences that chose nothing."""
        from qa_research.tasks.regression import solve

        data = self.data
        longest = max(int(data.lengths(split).max()) for split in ("train", "validation"))
        network = RidgeNetwork(len(LETTERS), longest, kmer)
        labels = data.labels("train")
        network.standardise(float(labels.mean()), float(labels.std()))
        solve(network, data, self.baseline_penalties)
        rows = rows_of(network, [data.validation[place] for place in data.scored["val"]])
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
            "sequences": {
                "train": len(data.train),
                "validation": len(data.validation),
                "choosing": len(data.scored["choosing"]),
                "test": len(data.test),
            },
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "overlapping": data.overlapping(),
            "baselines": {
                name: {metric: asdict(score) for metric, score in scores.items()}
                for name, scores in self.baselines.items()
            },
        }

    def description(self) -> list[str]:
        data = self.data
        count, total = len(data.scored["choosing"]), len(data.validation)
        lengths = data.lengths("train")
        lines = [
            f"Data: {data.name}, {len(data.train):,} training and {total:,} validation sequences of "
            f"{lengths.min()} to {lengths.max()} letters",
            f"Model: {self.module.name}, {self.facts()['parameters']:,} parameters",
            f"{count:,} of the validation sequences (data.choosing_share={data.choosing_share:g}, "
            f"data.seed={data.seed}) choose the best weights; val/... are the scores of the other "
            f"{total - count:,}, which choose nothing",
        ]
        if shared := data.overlapping():
            lines.append(
                f"{shared:,} of {total:,} validation sequences are a training one, shifted by at most "
                f"{data.overlap_letters} letters; their scores are partly memory"
            )
        return lines

    def measured(self) -> list[str]:
        quantities = ["loss", "pearson", "spearman"]
        quantities += ["steps"] if self.module.halts else []
        return [f"{split}/{quantity}" for split in self.data.scored for quantity in quantities]

    def may_choose(self) -> list[str]:
        return [name for name in self.measured() if name.startswith("choosing/")]

    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        steps = measured.get("val/steps")
        details = "" if steps is None else f"  ({steps:.2f} steps a letter)"
        return f"r {measured[PEARSON]:.3f}  rho {measured[SPEARMAN]:.3f}", details

    def predictions(self) -> list[dict[str, Any]]:
        choosing = set(self.data.scored["choosing"].tolist())
        steps = self.module.steps
        return [
            {
                "id": row.id,
                "prediction": float(self.module.predicted[place]),
                "truth": row.label,
                "chose": place in choosing,
                PARAGRAPH: self.data.groups[place],
            }
            | ({} if steps is None else {"steps": float(steps[place])})
            for place, row in enumerate(self.data.validation)
        ]

    def afterwards(self, is_stopped: Callable[[], bool]) -> dict[str, Any]:
        if not self.data.test or is_stopped():
            return {}
        rows = rows_of(self.network.eval(), self.data.test)
        scores = {metric["name"]: asdict(score_of(rows, metric)) for metric in self.metrics}
        return {"test": scores}

    def result(self, record: Mapping[str, Any]) -> list[str]:
        best = record["best"]
        table = [["", *(metric["label"] for metric in self.metrics)]]
        table.append(["this run", *(f"{best[metric['name']]:.3f}" for metric in self.metrics)])
        told = {**record.get("baselines", {})}
        if "test" in record:
            told["this run on the test sequences"] = record["test"]
        for name, scores in told.items():
            cells = [scores[metric["name"]] for metric in self.metrics]
            table.append(
                [name, *(f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells)]
            )
        lines = aligned(table, set())
        counts = record.get("sequences", {})
        if counts:
            lines.append(
                f"{counts['validation'] - counts['choosing']:,} validation sequences that chose nothing; the "
                f"{counts['choosing']:,} that chose these weights: {best['choosing/pearson']:.3f}"
            )
        return lines

    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        asking = command_line("qa-research", "ask", directory) + " --sequence acgtn"
        return [
            (
                "Score others",
                command_line("qa-research", "evaluate", directory) + " --data FILE",
            ),
            ("Ask it", asking),
            ("Report it", command_line("qa-research", "report", directory)),
        ]

    def watching(self, request: int | str | Sequence[str | int]) -> Watching:
        data = self.data
        splits = {"train": data.train, "validation": data.validation}
        chosen = choose_examples(request, splits, data.seed, self._of_file, "sequence")
        longest = max(int(data.lengths(split).max()) for split in splits)
        return Watching(watched_sequences(chosen), longest, data.batch_size, is_compiled=False)

    def _of_file(self, path: str) -> list[LabelledSequence]:
        from qa_research.files import UTF_8
        from qa_research.tasks.sequences.sequence import read_sequences

        return read_sequences(path, "capture.questions", UTF_8, self.module.max_positions, "f")

    def write_model(self, directory: Path) -> None:
        """Nothing: the run's config says what its network is."""

    @classmethod
    def reopen(cls, run: StoredRun, weights: Mapping[str, Tensor]) -> Opened[LabelledSequence]:
        return reopen(run, weights)
