"""Which words carry what is true of a watched example, at each kept checkpoint of a training.

Of a question the logits of its true span, of another task the logit of the true label, or the prediction.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qa_research.capture.recording.reader import Recording
from qa_research.explain.words.attribute import (
    AttributionRequest,
    measure,
    measure_example,
    shown,
)
from qa_research.explain.words.example import SHUFFLES, ExampleReader, reader_of, shown_text
from qa_research.explain.words.lime import LOWEST_R2
from qa_research.explain.words.reader import Explained, true_span
from qa_research.explain.words.result import (
    LARGEST_ERROR,
    OUTPUTS,
    AttributionOverSteps,
    GradientValues,
    LimeValues,
    MethodValues,
    ShownText,
    StepValues,
    all_rounded,
    rounded_or_none,
)
from qa_research.runs.checkpoints import kept_steps
from qa_research.runs.open import open_run
from qa_research.tasks.answering.trained import TrainedAnswerer, answerer_of
from qa_research.tasks.opened import Opened

log = logging.getLogger(__name__)

# Over many checkpoints a sum that is slightly off at one of them is reported rather than refined.
MOST_STEPS_PER_CHECKPOINT = 80
# Warnings name at most so many steps.
NAMED_STEPS = 8


@dataclass(frozen=True)
class _Watched:
    """A watched example: how its recording describes it, how it is shown, and what is said of it."""

    described: Mapping[str, Any]
    text: ShownText
    quantity: str
    notes: Sequence[str]
    shuffles: int = 0


@dataclass(frozen=True)
class _AtStep:
    """One example at one checkpoint: the probability of what is true there, and the methods' values.

    Of a number `probability` is the prediction.
    """

    step: int
    checkpoint: str
    probability: float
    methods: Mapping[str, MethodValues]

    @property
    def error(self) -> float | None:
        """The largest of integrated gradients; None without that method."""
        values = self.methods.get("gradients")
        return values.largest_error if isinstance(values, GradientValues) else None

    @property
    def lime(self) -> LimeValues | None:
        """What LIME found, if it was asked for."""
        values = self.methods.get("lime")
        return values if isinstance(values, LimeValues) else None


def over_steps(
    directory: Path, recording: Recording, chosen: Sequence[int], request: AttributionRequest
) -> list[AttributionOverSteps]:
    """The watched questions `chosen`, by number, at every kept checkpoint of the run in `directory`.

    A question whose true span is not in the window that was watched is skipped with a warning.

    Raises:
        ValueError: the run kept no steps, the recording has no true spans, or no question remains.
    """
    spans = _true_spans(recording)
    # Windows and words are the same at every checkpoint; only the network changes.
    explained: dict[int, Explained] = {}
    found: dict[int, list[_AtStep]] = {number: [] for number in chosen}
    run_name = ""
    for name, opened in _checkpoints(directory):
        run = answerer_of(opened)
        if not explained:
            run_name = run.name
            explained = _explained(run, recording, {number: spans[number] for number in chosen})
        step = run.step if run.step is not None else int(name)
        for number, span in explained.items():
            reader = replace(span.reader, network=run.network)
            probability = float(reader.predict_full().probability[0])
            methods = measure(reader, request, MOST_STEPS_PER_CHECKPOINT)
            found[number].append(_AtStep(step, name, probability, methods))
    return [
        _joined(
            run_name, _of_question(recording.questions[number], span), found[number], request.seed
        )
        for number, span in explained.items()
    ]


def _of_question(described: Mapping[str, Any], explained: Explained) -> _Watched:
    return _Watched(described, shown(explained), _quantity_over_steps(explained), explained.notes)


def examples_over_steps(
    directory: Path, recording: Recording, chosen: Sequence[int], request: AttributionRequest
) -> list[AttributionOverSteps]:
    """As `over_steps`, of a task whose network says a label or a number of each watched example.

    Raises:
        ValueError: the run kept no steps, an example is none of the run's own, or its task does not say what
            a word becomes that is switched off.
    """
    ids = {number: str(recording.questions[number]["id"]) for number in chosen}
    rows: dict[int, Any] = {}
    told: dict[int, _Watched] = {}
    found: dict[int, list[_AtStep]] = {number: [] for number in chosen}
    run_name = ""
    for name, opened in _checkpoints(directory):
        run_name = opened.name
        rows = rows or _own_rows(opened, ids)
        step = opened.step if opened.step is not None else int(name)
        for number, row in rows.items():
            reader = _of_truth(reader_of(opened, row))
            if number not in told:
                told[number] = _of_example(recording.questions[number], reader)
            whole = np.ones((1, len(reader.units)), dtype=bool)
            probability = float(reader.predict(whole, "Predicting").probability[0])
            methods = measure_example(reader, request, MOST_STEPS_PER_CHECKPOINT)
            found[number].append(_AtStep(step, name, probability, methods))
    return [_joined(run_name, told[number], found[number], request.seed) for number in chosen]


def _checkpoints(directory: Path) -> Iterator[tuple[str, Opened[Any]]]:
    """Each kept checkpoint of a run by its name, opened."""
    names = kept_steps(directory)
    for i, name in enumerate(names):
        log.info("Checkpoint %s (%d of %d)", name, i + 1, len(names))
        yield name, open_run(directory, name)


def _own_rows(opened: Opened[Any], ids: Mapping[int, str]) -> dict[int, Any]:
    """The run's own examples of these ids, by the same numbers.

    Raises:
        ValueError: one was watched from a file.
    """
    known = {
        opened.told(row).id: row
        for split in ("train", "validation")
        for row in opened.own(split).rows
    }
    if missing := [identity for identity in ids.values() if identity not in known]:
        raise ValueError(
            f"{missing[0]} was watched from a file, and --watched explains examples of the run's own; name "
            "one of them with --example ID"
        )
    return {number: known[identity] for number, identity in ids.items()}


def _of_truth(reader: ExampleReader) -> ExampleReader:
    """A reader that explains the true label, whichever the network chooses."""
    return reader if reader.is_number else replace(reader, row=int(reader.watched.outputs.true[0]))


def _of_example(described: Mapping[str, Any], reader: ExampleReader) -> _Watched:
    if reader.is_number:
        said, what = " / ".join(described["answers"]), "the prediction"
    else:
        said = reader.watched.outputs.rows[reader.row]
        what = f"the logit of the label “{said}”, which is true,"
    gradients_are_mean = reader.whole.is_floating_point()
    return _Watched(
        described,
        shown_text(reader, said),
        f"Explained is {what} at every step.",
        [reader.off.note] if reader.off.note else [],
        SHUFFLES if gradients_are_mean else 0,
    )


def _explained(
    run: TrainedAnswerer, recording: Recording, spans: Mapping[int, tuple[int, int]]
) -> dict[int, Explained]:
    """The true spans of watched questions, without those that are not in the watched window."""
    explained = {}
    for number, (first, last) in spans.items():
        described = recording.questions[number]
        span = true_span(run, described, first, last)
        if span is None:
            log.warning(
                "%s is skipped: its true span is not in the window that was watched",
                described["id"],
            )
        else:
            explained[number] = span
    if not explained:
        raise ValueError("no true span to explain: it is not in the window that was watched")
    return explained


def _true_spans(recording: Recording) -> list[tuple[int, int]]:
    """First and last token of each watched question's true span, from any recorder that has questions."""
    for name in recording.recorders:
        data = recording.read(name)
        if "true_first" in data.coords:
            columns = (data[end].to_numpy().tolist() for end in ("true_first", "true_last"))
            return list(zip(*columns, strict=True))
    raise ValueError(
        f"{recording.path} has no true spans, only {', '.join(recording.recorders)}. Train with logits "
        "among capture/recorders"
    )


def _joined(
    run: str, watched: _Watched, found: Sequence[_AtStep], seed: int
) -> AttributionOverSteps:
    """One example's results at all steps, as one."""
    described = watched.described
    return AttributionOverSteps(
        run=run,
        question_id=described["id"],
        split=described["split"],
        answers=tuple(described["answers"]),
        quantity=watched.quantity,
        text=watched.text,
        steps=tuple(at.step for at in found),
        checkpoints=tuple(at.checkpoint for at in found),
        probability=all_rounded(at.probability for at in found),
        methods={name: _by_step([at.methods[name] for at in found]) for name in found[0].methods},
        error=tuple(rounded_or_none(at.error) for at in found),
        unseen_r2=tuple(at.lime.unseen_r2 if at.lime else None for at in found),
        warnings=(*watched.notes, *_doubts_over_steps(found)),
        seed=seed,
        shuffles=watched.shuffles,
    )


def _by_step(values: Sequence[MethodValues]) -> StepValues:
    """One method's values at all steps, of each output that is explained."""
    rows: dict[str, Any] = {
        output: tuple(getattr(one, output) for one in values)
        if getattr(values[0], output) is not None
        else None
        for output in OUTPUTS
    }
    return StepValues(**rows)


def _doubts_over_steps(found: Sequence[_AtStep]) -> list[str]:
    off = [at.step for at in found if at.error is not None and at.error > LARGEST_ERROR]
    # Without an R2, for logits that never changed, LIME has nothing to say either.
    unsure = [at.step for at in found if at.lime and (at.lime.unseen_r2 or 0.0) < LOWEST_R2]
    sentences = []
    if off:
        sentences.append(
            f"Integrated gradients do not add up at {_named(off)}: their sum is off by more than "
            f"{100 * LARGEST_ERROR:.0f} %."
        )
    if unsure:
        sentences.append(
            f"LIME is not reliable at {_named(unsure)}: on masks it was not fitted to, its linear "
            f"model's R² is below {LOWEST_R2}."
        )
    return sentences


def _quantity_over_steps(explained: Explained) -> str:
    """What is explained, in a sentence."""
    if explained.reader.target.is_null:
        what = "“no answer”, which is right, at token 0, [CLS]"
    else:
        what = f"the true span “{explained.span_text}”"
    return f"Explained is {what}: its start logit, its end logit, and their sum, at every step the same."


def _named(steps: Sequence[int]) -> str:
    """ "step 10", "steps 10, 20", or the first few "and more"."""
    shown = ", ".join(map(str, steps[:NAMED_STEPS]))
    return f"step{'s' if len(steps) > 1 else ''} {shown}{' and more' if len(steps) > NAMED_STEPS else ''}"
