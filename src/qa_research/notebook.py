"""A run in a notebook or a script: scores, curves, predictions and recording of it; asked, and drawn.

    from qa_research.notebook import Run

    run = Run("nopretrain")                       # a directory, or a part of its name that only it has
    run                                           # one screen, with its curve
    run.ask("Who teaches chess?", "Chess is taught by Ms Lund. Judo is on Monday.")
    run.predictions.sel(id="19818")
    run.draw_attention("19818", layer=1, head=0)

The verbs of `qa-research` do more; docs/notebook.md says where to look.
"""

import base64
import html
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.figures.attention import attention_over_steps
from qa_research.figures.curves import question_losses
from qa_research.figures.logits import logits_over_steps
from qa_research.figures.panels import COLOURS, PlainFigure, legend_above, plain
from qa_research.ledger.runs import counts_key
from qa_research.runs.directory import (
    find_run,
    read_config,
    read_record,
    run_name,
    trained_model,
)
from qa_research.runs.metrics import METRICS, number_in, read_metrics
from qa_research.runs.predictions import read_run_predictions
from qa_research.runs.store import checkpoints_of, live_status, read_entry
from qa_research.tasks.task import PERCENT, Metric
from qa_research.text import aligned, disarmed, in_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qa_research.tasks.answering.decode import Answer
    from qa_research.tasks.answering.trained import TrainedAnswerer
    from qa_research.tasks.opened import Opened


class Run:
    """A run on disk, finished or not. Nothing of it is changed.

    `run`: its directory, or a part of its name that only it has among those under `runs`. Files are read when
    they are first asked for; `Run(...)` again sees what a training has written since.

    Raises:
        FileNotFoundError: no run has this name.
        ValueError: several have it, or the run's files are damaged.
    """

    def __init__(self, run: str | Path, runs: str | Path = "runs") -> None:
        self.directory = find_run(str(run), Path(runs))
        self.name = run_name(self.directory)
        self.record: dict[str, Any] = read_record(self.directory) or {}
        self.config = read_config(self.directory)
        self._opened: dict[str, Opened[Any]] = {}

    @property
    def status(self) -> str:
        """`finished`, `running`, `interrupted`, `failed` or `killed`."""
        return live_status(read_entry(self.directory))

    @property
    def checkpoints(self) -> list[str]:
        """What `checkpoint` may be: best, last, and the steps whose weights were kept."""
        return checkpoints_of(self.directory)

    @property
    def scores(self) -> dict[str, float]:
        """What the best weights scored, by metric; empty before the first validation."""
        best: dict[str, float] = self.record.get("best") or {}
        return best

    @cached_property
    def metrics(self) -> xr.Dataset:
        """The curves by `step`: an array for each column of metrics.csv, NaN where a step has no value.

        `run.metrics["val/f1"].dropna("step")` has the validations alone.

        Raises:
            FileNotFoundError: the run has not begun to train.
        """
        path = self.directory / METRICS
        rows = read_metrics(path)
        steps = sorted({int(row["step"]) for row in rows})
        place = {step: index for index, step in enumerate(steps)}
        names = [name for name in (rows[0] if rows else ()) if name != "step"]
        values = {name: np.full(len(steps), np.nan) for name in names}
        for row in rows:
            for name in names:
                if row[name]:
                    values[name][place[int(row["step"])]] = number_in(row, name, path)
        arrays = {name: ("step", array) for name, array in values.items()}
        return xr.Dataset(arrays, {"step": np.array(steps, dtype=np.int64)})

    @cached_property
    def predictions(self) -> xr.Dataset:
        """What the best weights answered to each validation question, by its `id`.

        `run.predictions.sel(id="19818")` is one question; `.to_dataframe()` a table of all.

        Raises:
            FileNotFoundError: the run has not validated yet.
        """
        rows = read_run_predictions(self.directory, ())
        # A key that only some rows have is None for the others.
        names = [name for name in dict.fromkeys(key for row in rows for key in row) if name != "id"]
        arrays = {name: ("id", _column([row.get(name) for row in rows])) for name in names}
        return xr.Dataset(arrays, {"id": [str(row["id"]) for row in rows]})

    @cached_property
    def recording(self) -> Recording:
        """What was captured of the watched questions; `recording.read("logits").sel(id=...)`.

        Raises:
            FileNotFoundError, ValueError: the run captured nothing, or nothing is readable yet.
        """
        return Recording(self.directory / RECORDING)

    def opened(self, checkpoint: str = "best") -> "Opened[Any]":
        """The trained network of any task, ready to be asked; read once for each checkpoint.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it is damaged.
        """
        from qa_research.runs.open import open_run

        if checkpoint not in self._opened:
            self._opened[checkpoint] = open_run(self.directory, checkpoint)
        return self._opened[checkpoint]

    def answerer(self, checkpoint: str = "best") -> "TrainedAnswerer":
        """The same, of a run that answers questions.

        Raises:
            FileNotFoundError, ValueError: see `opened`; or this run's task is another one.
        """
        from qa_research.tasks.answering.trained import answerer_of

        return answerer_of(self.opened(checkpoint))

    def ask(self, question: str, context: str, checkpoint: str = "best") -> "Answer":
        """The answer to a question about a text.

        Raises:
            ValueError: the question or the text is empty, or the question is longer than a window.
        """
        return self.answerer(checkpoint).ask(question, context)

    def ask_example(self, checkpoint: str = "best", **given: str) -> dict[str, Any]:
        """What the network of any task makes of one example: `run.ask_example(first="...", second="...")`.

        Raises:
            ValueError: this run's task is asked with something else, or that cannot be asked.
        """
        opened = self.opened(checkpoint)
        if set(given) != set(opened.asked_with):
            raise ValueError(
                f"{self.name} is asked with {' and '.join(opened.asked_with)}, not with "
                f"{' and '.join(given) or 'nothing'}"
            )
        return opened.rows([opened.example(given)])[0]

    def draw_scores(self) -> PlainFigure:
        """The scores that the run is told by, at every validation."""
        metrics: list[Metric] = self.config["task"]["metrics"]
        figure = PlainFigure(figsize=(6.4, 3.2), layout="constrained")
        panel = figure.subplots()
        for metric, colour in zip(metrics, COLOURS, strict=False):
            curve = self.metrics[metric["name"]].dropna("step")
            marker = "." if curve.size < 60 else ""
            panel.plot(curve["step"], curve, color=colour, marker=marker, label=metric["label"])
        panel.set(xlabel="optimizer step", ylabel="validation")
        plain(panel)
        legend_above(panel, len(metrics))
        return figure

    def draw_question(self, question: str | None = None) -> "Figure":
        """Loss, probability and correctness of one watched question (an id; None: the first) over steps."""
        place = self._place(question)
        return question_losses(self.recording.read("logits"), place, self._asked(place))

    def draw_logits(self, question: str | None = None) -> "Figure":
        """Start and end logits of one watched question by token and step."""
        place = self._place(question)
        return logits_over_steps(
            self.recording.read("logits"), place, self._tokens(place), self._asked(place)
        )

    def draw_attention(
        self, question: str | None = None, layer: int = 0, head: int = 0
    ) -> "Figure":
        """One head's attention over one watched question at up to six steps.

        Raises:
            ValueError: the question, the layer or the head is not recorded.
        """
        place, recorded = self._place(question), self.recording.read("attention")
        return attention_over_steps(
            recorded, place, layer, head, self._tokens(place), asked=self._asked(place)
        )

    def _place(self, question: str | None) -> int:
        first = str(self.recording.questions[0]["id"])
        return self.recording.find_question(first if question is None else question)

    def _tokens(self, place: int) -> Sequence[str]:
        tokens: list[str] = self.recording.questions[place]["tokens"]
        return tokens

    def _asked(self, place: int) -> str:
        return str(self.recording.questions[place]["question"])

    def __repr__(self) -> str:
        facts = [(name, text) for name, text in self._facts() if text]
        return disarmed(
            "\n".join([self.name, *aligned([(f"  {name}", text) for name, text in facts])])
        )

    def _facts(self) -> list[tuple[str, str]]:
        record, examples = self.record, self.config["task"]["examples"]
        counts = record.get(counts_key(record, self.config)) or {}
        splits = [f"{n:,} {split}" for split, n in counts.items()]
        steps = f", {record['steps']:,} steps" if record.get("steps") else ""
        best = f", best at {record['best_step']:,}" if record.get("best_step") else ""
        scores = [
            f"{metric['label']} {_shown(self.scores[metric['name']], metric)}{self._interval(metric)}"
            for metric in self.config["task"]["metrics"]
            if metric["name"] in self.scores
        ]
        return [
            ("status", f"{self.status}{steps}{best}"),
            ("model", trained_model(self.config["model"], self.config["seed"])),
            ("data", f"{record.get('data', '')}: {', '.join(splits)} {examples}"),
            ("scores", ", ".join(scores)),
            ("checkpoints", ", ".join(self.checkpoints)),
            ("recording", self._recorded()),
            ("directory", str(self.directory)),
        ]

    def _interval(self, metric: Metric) -> str:
        found = (self.record.get("best_95") or {}).get(metric["name"])
        ends = [_shown(found[end], metric) for end in ("low", "high")] if found else []
        return f" [{', '.join(ends)}]" if ends else ""

    def _recorded(self) -> str:
        try:
            recording = self.recording
        except (FileNotFoundError, ValueError):
            return ""
        groups = ", ".join(recording.recorders)
        return f"{len(recording.questions)} questions until step {recording.step:,}: {groups}"

    def _repr_html_(self) -> str:
        text = f"<pre>{html.escape(repr(self))}</pre>"
        if not (self.directory / METRICS).is_file():
            return text
        picture = base64.b64encode(self.draw_scores()._repr_png_()).decode()
        return (
            f'{text}<img alt="validation scores over steps" src="data:image/png;base64,{picture}">'
        )


def _shown(value: float, metric: Metric) -> str:
    return in_digits(value, metric["scale"] == PERCENT)


def _column(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Values of one kind as an array; texts and anything mixed as objects."""
    if all(isinstance(value, bool) for value in values):
        return np.array(values, dtype=bool)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.array(values)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
