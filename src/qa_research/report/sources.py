"""Where a report's values come from: each is taken from a run's files by name, so it can be taken again.

A taker reads one file and returns one value; a form prints it. A printed value keeps the names of both with
their arguments, and `verify` calls them again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from qa_research.capture.kept import KeptAnswers, read_kept
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.figures.curves import DecayFit, NoFit, fit_decay
from qa_research.ledger.asked import QUESTIONS
from qa_research.ledger.runs import RunEntry
from qa_research.model.architecture import Blueprint, read_architecture
from qa_research.pages.document import Paragraph, Quoted, Value
from qa_research.report.legend import Entry, legend_of
from qa_research.report.measures import (
    Curve,
    RouteOverTime,
    read_curve,
    read_curves,
    route_over_time,
)
from qa_research.runs.compare import SideBySide, side_by_side
from qa_research.runs.directory import flattened, read_record, run_name
from qa_research.runs.metrics import METRICS, number_in, read_metrics
from qa_research.runs.predictions import PREDICTIONS, chose_of, read_run_predictions
from qa_research.runs.store import live_status, read_entry
from qa_research.stacks.choosing import Chosen, of_run
from qa_research.tasks.scoring import Score, score_of
from qa_research.tasks.task import PERCENT, Metric, keys_of
from qa_research.text import in_digits, shown_value
from qa_research.watch.film import Film, make_film

MOST_TOLD = 3
Taker = Callable[..., Any]
# Name -> the file that a taker reads, and the taker.
TAKERS: dict[str, tuple[str, Taker]] = {}


def taken_from(file: str) -> Callable[[Taker], Taker]:
    """Register a function (source, **arguments) -> value under its own name; `file`: what it reads."""

    def register(take: Taker) -> Taker:
        TAKERS[take.__name__] = (file, take)
        return take

    return register


class Source:
    """The files of one run, each read once.

    `number`: its place among the `siblings`, the runs of a report; `name`: what it is called among them.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.number = 0
        self.name = run_name(directory)
        self.siblings: Sequence[Source] = [self]
        self.unreadable = ""

    def value(self, take: str, form: str = "text", **arguments: Any) -> Value:
        """What a taker takes, as a form prints it, with its origin.

        Raises:
            ValueError, OSError: a file is missing or damaged.
        """
        origin = {"run": self.number, "file": TAKERS[take][0], "take": take, "form": form}
        if arguments:
            origin["of"] = arguments
        return Value(self.again(origin), origin)

    def again(self, origin: Mapping[str, Any]) -> str:
        """What is printed of an origin now.

        Raises:
            ValueError: a taker or form is not known, or a file is damaged.
            OSError: a file is missing.
        """
        known = TAKERS.get(origin.get("take", "")), FORMS.get(origin.get("form", ""))
        if None in known:
            raise ValueError(f"this version cannot take {dict(origin)}")
        (_, take), form = TAKERS[origin["take"]], FORMS[origin["form"]]
        return form(take(self, **origin.get("of", {})))

    @cached_property
    def entry(self) -> RunEntry:
        """The run, from run.json and config.yaml."""
        return read_entry(self.directory)

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """run.json."""
        return read_record(self.directory) or {}

    @cached_property
    def rows(self) -> list[dict[str, str]]:
        """metrics.csv; empty before the first step."""
        path = self.directory / METRICS
        return read_metrics(path) if path.is_file() else []

    @cached_property
    def metrics(self) -> list[Metric]:
        """What the run's task measures, the most telling first."""
        found: list[Metric] = self.entry.config["task"]["metrics"]
        return found

    @property
    def examples(self) -> str:
        """What the rows of its data are called, such as `questions`."""
        return str(self.entry.config["task"]["examples"])

    @property
    def has_questions(self) -> bool:
        """Whether its task is to answer questions, of which a report tells more."""
        return self.examples == QUESTIONS

    @property
    def loss_unit(self) -> str:
        """The unit of its loss with a blank before it, or nothing if the task says none."""
        unit = self.record.get("loss_unit", "nats" if self.has_questions else "")
        return f" {unit}" if unit else ""

    @property
    def all_chose(self) -> bool:
        """Whether every example that was scored chose the best checkpoint."""
        return len(chose_of(self.predictions).ids) == len(self.predictions)

    def form_of(self, metric: str) -> str:
        """The form that the values of a metric are printed in, by its name."""
        scale = next(one["scale"] for one in self.metrics if one["name"] == metric)
        return "one" if scale == PERCENT else "score"

    @cached_property
    def predictions(self) -> list[dict[str, Any]]:
        """predictions/validation.json; empty before the first validation."""
        try:
            return read_run_predictions(
                self.directory, [key for metric in self.metrics for key in keys_of(metric)]
            )
        except FileNotFoundError:
            return []

    @cached_property
    def recording(self) -> Recording | None:
        """recording.zarr, if there is one that can be opened; else `unreadable` says why not."""
        path = self.directory / RECORDING
        if not path.is_dir():
            return None
        try:
            return Recording(path)
        except ValueError as error:
            self.unreadable = str(error)
            return None

    @cached_property
    def groups(self) -> dict[str, xr.Dataset]:
        """The recorders of the recording, as far as they are readable, by name."""
        recording = self.recording
        if recording is None:
            return {}
        found = {}
        for name in recording.recorders:
            try:
                found[name] = recording.read(name)
            except ValueError as error:
                self.unreadable = str(error)
        return found

    @cached_property
    def films(self) -> list[Film]:
        """What was answered to each watched question at each capture, in their order."""
        logits = self.groups.get("logits")
        if self.recording is None or logits is None or not logits.sizes["step"]:
            return []
        return [make_film(row, i, logits) for i, row in enumerate(self.recording.questions)]

    @cached_property
    def film_by_id(self) -> dict[str, Film]:
        """The films by the id of their question."""
        return {film.question_id: film for film in self.films}

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """The first metric over the training, by kind."""
        return read_curves(self.directory, self.metrics[0])

    def column(self, name: str) -> Curve:
        """A column of metrics.csv where it was measured; empty if it never was."""
        return read_curve(self.rows, name, self.directory / METRICS)

    @property
    def lacks(self) -> list[str]:
        """What a comparison with other runs has not got of this one, and how to get it, a sentence each."""
        found, groups = [], self.groups
        if self.unreadable:
            found.append(self.unreadable)
        elif not self.has_questions:
            # Answers and attention are compared of watched questions only.
            pass
        elif self.recording is None:
            found.append("nothing was recorded; train with capture=default to compare answers")
        else:
            found += [
                f"no {name} were recorded; add {name} to capture/recorders to compare {what}"
                for name, what in (("logits", "answers"), ("heads", "attention"))
                if name not in groups
            ]
        if not self.curves:
            found.append("it has not been validated yet, so there are no curves of it")
        return found

    @cached_property
    def kept(self) -> dict[str, KeptAnswers]:
        """The telling answers in answers.zarr, by kind of asking; empty if there are none."""
        return {found.state.asking: found for found in read_kept(self.directory)}

    @cached_property
    def losses(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The steps with a loss, and the losses of their batches."""
        rows = [row for row in self.rows if row.get("train/loss")]
        steps = np.array([int(row["step"]) for row in rows], dtype=np.int64)
        path = self.directory / METRICS
        return steps, np.array([number_in(row, "train/loss", path) for row in rows])

    @cached_property
    def fit(self) -> DecayFit | NoFit:
        """The decay of `losses`."""
        return fit_decay(*self.losses)

    @cached_property
    def scores(self) -> dict[tuple[str, str], Score]:
        """By metric and kind, of the examples that did not choose the checkpoint (all, if all did).

        The kind `all` is every example; the others are there if there are several.
        """
        chose = chose_of(self.predictions).ids
        fresh = [row for row in self.predictions if row["id"] not in chose] or self.predictions
        kinds = list(dict.fromkeys(row["kind"] for row in fresh if row.get("kind")))
        groups = {"all": fresh} if fresh else {}
        if len(kinds) > 1:
            groups |= {kind: [row for row in fresh if row.get("kind") == kind] for kind in kinds}
        return {
            (metric["name"], kind): score_of(rows, metric)
            for metric in self.metrics
            for kind, rows in groups.items()
        }

    @cached_property
    def beside(self) -> SideBySide:
        """All runs of the report compared with the first one."""
        return side_by_side([sibling.directory for sibling in self.siblings])

    @cached_property
    def route(self) -> RouteOverTime | None:
        """The attention from an answer to the words that its question has, if it was recorded."""
        return route_over_time(self.groups["heads"]) if "heads" in self.groups else None

    @cached_property
    def stacks(self) -> Chosen | None:
        """The latest recording of stacks that were sampled during the training; None without samples."""
        try:
            return of_run(self.directory)
        except FileNotFoundError:
            return None

    @cached_property
    def architecture(self) -> Blueprint:
        """The modules and the graph of the network."""
        return read_architecture(self.directory)

    @cached_property
    def legend(self) -> list[Entry]:
        """What the boxes of the network are."""
        return legend_of(self.architecture)

    @property
    def kinds(self) -> list[str]:
        """The kinds that scores are told of: `all` where there is but one."""
        kinds = list(dict.fromkeys(kind for _, kind in self.scores))
        return [kind for kind in kinds if kind != "all"] or kinds

    @property
    def told_kinds(self) -> list[str]:
        """The kinds that a sentence has room for: `kinds`, or `all` where there are many."""
        return self.kinds if len(self.kinds) <= MOST_TOLD else ["all"]


@taken_from("run.json")
def record(source: Source, key: str) -> Any:
    """A value of run.json; `key`: dotted, such as `machine.cpu`."""
    return _at(source.record, key)


@taken_from("run.json")
def version(source: Source, package: str) -> str | None:
    """The version of a package that the run was made with."""
    found: str | None = source.record["versions"].get(package)
    return found


@taken_from("run.json")
def status(source: Source) -> str:
    """What the run is doing now, which its lock decides, too."""
    return live_status(source.entry)


@taken_from("run.json")
def error(source: Source) -> str | None:
    """What ended the run, if it failed."""
    return source.entry.error


@taken_from("run.json")
def name(source: Source) -> str:
    """The run's own name."""
    return run_name(source.directory)


@taken_from("config.yaml")
def called(source: Source) -> str:
    """What the run is called beside the others of its report: by what differs."""
    return source.name


@taken_from(METRICS)
def no_fit(source: Source) -> str:
    """Why the losses have no fitted decay."""
    return source.fit.reason if isinstance(source.fit, NoFit) else "they have one"


@taken_from("config.yaml")
def config(source: Source, key: str) -> Any:
    """A value of the run's config; `key`: dotted, such as `model.lr`."""
    return flattened(source.entry.config).get(key)


@taken_from("run.json")
def examples_per_second(source: Source) -> float | None:
    """Trained examples in a second of training."""
    samples, seconds = source.record.get("train_samples"), source.record.get("train_s")
    return samples / seconds if samples and seconds else None


@taken_from(str(PREDICTIONS))
def score(source: Source, metric: str, kind: str, end: str = "value") -> float:
    """A score at the best checkpoint; `end`: value, low, high or total."""
    found: float = getattr(source.scores[metric, kind], end)
    return found


@taken_from(METRICS)
def metric(source: Source, column: str, at: str = "last") -> float:
    """A column of metrics.csv at the first or last step that has it."""
    path = source.directory / METRICS
    found = {
        int(row["step"]): number_in(row, column, path) for row in source.rows if row.get(column)
    }
    if not found:
        raise ValueError(f"{path} has no {column}")
    return found[min(found) if at == "first" else max(found)]


@taken_from(METRICS)
def validations(source: Source) -> int:
    """How many times the run was validated."""
    column = source.metrics[0]["name"]
    return sum(bool(row.get(column)) for row in source.rows)


@taken_from(METRICS)
def decay(source: Source, of: str) -> float:
    """The fitted decay of the loss: low or high end of the level it goes to, or r2."""
    fit = source.fit
    if isinstance(fit, NoFit):
        raise ValueError(f"the losses have no fit: {fit.reason}")
    return fit.r2 if of == "r2" else fit.level[of == "high"]


@taken_from("recording.zarr")
def last_capture(source: Source, group: str) -> int:
    """The step of a recorder's last capture."""
    return int(source.groups[group]["step"].values[-1])


def _at(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def duration(seconds: float | None) -> str:
    """Seconds as people say them: `48 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _number(form: str) -> Callable[[Any], str]:
    return lambda value: "unknown" if value is None else form.format(value).replace("-", "−")


# How a value is printed.
FORMS: Mapping[str, Callable[[Any], str]] = {
    "text": lambda value: (
        "unknown" if value is None else value if isinstance(value, str) else shown_value(value)
    ),
    "setting": lambda value: (
        "null" if value is None else value if isinstance(value, str) else shown_value(value)
    ),
    "whole": _number("{:,.0f}"),
    "one": _number("{:.1f}"),
    "two": _number("{:.2f}"),
    "signed": _number("{:+.2f}"),
    "signed_whole": _number("{:+,.0f}"),
    "digits": _number("{:.3g}"),
    "score": lambda value: (
        "unknown" if value is None else in_digits(value, in_percent=False).replace("-", "−")
    ),
    "signed_digits": _number("{:+.3g}"),
    "probability": _number("{:.3f}"),
    "percent": lambda share: f"{100 * share:.1f} %",
    "seconds": duration,
    "mb": _number("{:,.1f} MB"),
    "digest": lambda text: (text or "unknown")[:12],
    "day": lambda moment: (moment or "unknown")[:16].replace("T", " ") + (" UTC" if moment else ""),
}


def kinds_of(sources: Sequence[Source]) -> list[str]:
    """The kinds that any of the runs' scores are told of."""
    return list(dict.fromkeys(kind for source in sources for kind in source.kinds))


def moment_of(sources: Sequence[Source]) -> int:
    """When the last of these runs ended, or else began, in seconds since 1970; 0: none says it."""
    said = [source.entry.finished or source.entry.started for source in sources]
    return max((int(datetime.fromisoformat(text).timestamp()) for text in said if text), default=0)


def unreadable(source: Source) -> list[Paragraph]:
    """Why a recording that exists cannot be opened; nothing where it can, or where there is none."""
    return [Paragraph((Quoted(source.unreadable),), "lack")] if source.unreadable else []
