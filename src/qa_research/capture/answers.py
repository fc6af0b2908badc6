"""answers.zarr: of the last right and the most confidently wrong answer, all that the answer page shows.

One recording of a single step for each kind of asking, made when a run ends, by `evaluate` and by `efficacy`;
each takes the place of the one before.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel

from qa_research.capture.forward import forward_watched
from qa_research.capture.kept import (
    ANSWERS,
    AskedState,
    Asking,
    KeptAnswer,
    Role,
    TrackedUnit,
)
from qa_research.capture.looking import record_look, shares, windows_of_answers
from qa_research.capture.recorders.activations import ActivationsRecorder
from qa_research.capture.recorders.head_weights import MEASURES, changes
from qa_research.capture.recorders.logits import LogitsRecorder
from qa_research.capture.recorders.recorder import Recorder, to_numpy
from qa_research.capture.recording.files import METADATA, RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.capture.sites import FINAL, KNOWN
from qa_research.files import replacing, write_text
from qa_research.model.bert import head_of
from qa_research.runs.open import open_run
from qa_research.runs.predictions import chose_of, read_run_predictions
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import rules_for, score_question
from qa_research.tasks.answering.task import AnsweringTask
from qa_research.tasks.answering.trained import TrainedAnswerer, answerer_of
from qa_research.tasks.answering.watched import ROWS, WatchedQuestions
from qa_research.tasks.task import Task

log = logging.getLogger(__name__)
# Where the tracked unit is shown: what a layer's heads put out, and what the QA output layer reads.
PLACES = ["context:0", "context:-1", "layer_output:-1"]


@dataclass(frozen=True)
class Candidate:
    """A question that was asked, in order, and what came of it."""

    question: Question
    is_right: bool
    probability: float


def telling(asked: Sequence[Candidate]) -> dict[Role, Candidate]:
    """The last right answer and, of the wrong ones, the one with the highest probability; what there is."""
    found: dict[Role, Candidate] = {}
    if right := [one for one in asked if one.is_right]:
        found["last right"] = right[-1]
    if wrong := [one for one in asked if not one.is_right]:
        found["most confidently wrong"] = max(wrong, key=lambda one: one.probability)
    return found


def candidates_of(
    questions: Iterable[Question], answers: Iterable[Answer], choosing: frozenset[str]
) -> list[Candidate]:
    """Questions with their answers, without those that chose the weights, unless all did."""
    pairs = list(zip(questions, answers, strict=True))
    rules = rules_for([row for row, _ in pairs])
    fresh = [pair for pair in pairs if pair[0].id not in choosing] or pairs
    return [
        Candidate(row, score_question(row, answer.text, rules).exact_match == 1, answer.probability)
        for row, answer in fresh
        if row.is_labelled
    ]


def keep_answers(
    opened: TrainedAnswerer,
    asking: Asking,
    data: str,
    asked: Sequence[Candidate],
    split: str = "validation",
) -> None:
    """Ask the telling questions again, and keep what passes the network; only a warning if it cannot be kept.

    Does nothing for a model that is not a run, whose directory is somebody's, and if nothing was asked.
    """
    chosen = telling(asked)
    if not opened.is_run or not chosen:
        return
    path = opened.directory / ANSWERS
    try:
        with replacing(path / asking) as folder:
            _record(opened, asking, (data, split), asked, folder)
        write_text(path / METADATA, json.dumps({"zarr_format": 3, "node_type": "group"}))
    except OSError as error:
        log.warning("The answers for the report's answer page could not be kept: %s", error)


def keep_at_end(directory: Path, task: Task) -> None:
    """Keep the answers of a run that has just ended, of its best weights; only a warning if that fails.

    Does nothing for a task without questions.
    """
    if not isinstance(task, AnsweringTask):
        return
    try:
        rows = read_run_predictions(directory, ["exact_match", "probability"])
        opened = answerer_of(open_run(directory))
    except (OSError, ValueError) as error:
        log.warning("The answers for the report's answer page could not be kept: %s", error)
        return
    chose = chose_of(rows).ids
    questions = {row.id: row for row in task.data.validation}
    fresh = [row for row in rows if row["id"] not in chose] or rows
    asked = [
        Candidate(questions[row["id"]], row["exact_match"] == 1, row["probability"])
        for row in fresh
        if row["id"] in questions
    ]
    keep_answers(opened, "validation", str(task.facts()["data"]), asked)


def _record(
    opened: TrainedAnswerer,
    asking: Asking,
    source: tuple[str, str],
    asked: Sequence[Candidate],
    folder: Path,
) -> None:
    data, split = source
    chosen = telling(asked)
    questions = [one.question for one in chosen.values()]
    answers = opened.answer(questions)
    watched = windows_of_answers(opened, [(split, row) for row in questions], answers)
    tracked = _tracked_unit(opened, watched)
    state = AskedState(
        asking=asking,
        data=data,
        checkpoint=opened.label,
        step=opened.step,
        asked=len(asked),
        right=sum(one.is_right for one in asked),
        tracked=tracked,
    )
    kept = [
        KeptAnswer(
            role=role,
            is_right=one.is_right,
            golds=[(gold.text, gold.start) for gold in one.question.answers],
            answer=answer.text,
            char_start=answer.char_start,
            char_end=answer.char_end,
            probability=answer.probability,
            score=answer.score,
            windows=int((watched.windows.question == number).sum()),
        )
        for number, ((role, one), answer) in enumerate(zip(chosen.items(), answers, strict=True))
    ]
    about = {"asked": asdict(state), "kept": [asdict(one) for one in kept]}
    recorders: dict[str, Recorder] = {"logits": LogitsRecorder()}
    if has_places(opened.network, tracked.unit):
        recorders["activations"] = ActivationsRecorder(PLACES, None, [tracked.unit], "float32")
    record_look(opened, watched, recorders, folder, about)


def has_places(network: PreTrainedModel, unit: int) -> bool:
    """Whether it is known where this network's layers compute, and they are wide enough for the unit."""
    return network.config.model_type in KNOWN and unit < int(network.config.hidden_size)


def _tracked_unit(opened: TrainedAnswerer, watched: WatchedQuestions) -> TrackedUnit:
    """The unit of the head weight that changed most, if step 0 was recorded."""
    now = to_numpy(head_of(opened.network).weight)
    first = _first_head_weights(opened.directory)
    if first is not None and first.shape == now.shape:
        change = changes(first, now)[MEASURES.index("absolute")]
        row, unit = divmod(int(np.abs(change).argmax()), change.shape[1])
        return TrackedUnit(unit, ROWS[row], "absolute", float(change[row, unit]))
    forward = forward_watched(opened.network, watched, opened.step or 0, [FINAL])
    added = shares(opened, forward.values[FINAL][0][watched.spans[0, 0]])
    unit = int(added.abs().argmax())
    return TrackedUnit(unit, ROWS[0], "share", float(added[unit]))


def _first_head_weights(directory: Path) -> "np.ndarray | None":
    """[row, unit] the head's weights at step 0, if they were recorded and can be read."""
    try:
        recording = Recording(directory / RECORDING)
        data = recording.read("head_weights").isel(step=0)
    except (FileNotFoundError, ValueError):
        return None
    return None if int(data["step"]) else np.asarray(data["weight"].values, dtype=np.float32)
