"""A look at a trained network while it answers a few questions: a recording of one step.

The span that its figures mark is the network's own answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from qa_research.capture.forward import forward_watched
from qa_research.capture.recorders.recorder import Recorder, Subject, coordinates_of
from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from qa_research.capture.watched import describe
from qa_research.model.bert import head_of
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.trained import TrainedAnswerer
from qa_research.tasks.answering.watched import WatchedQuestions, watched_windows
from qa_research.tasks.watching import Watching


def windows_of_answers(
    opened: TrainedAnswerer, asked: Sequence[tuple[str, Question]], answers: Sequence[Answer]
) -> WatchedQuestions:
    """The windows that hold the answers, with each answer as the span to mark; `asked`: (split, question)."""
    rows = []
    for (split, row), answer in zip(asked, answers, strict=True):
        given = (Gold(answer.text, answer.char_start),) if answer.text else ()
        rows.append((split, replace(row, answers=given, is_labelled=True)))
    data = opened.config["data"]
    window = (data["max_tokens"], data["stride_tokens"])
    return watched_windows(rows, opened.tokenizer, *window, opened.answering)


def shares(opened: TrainedAnswerer, values: Float[Tensor, " unit"]) -> Float[Tensor, " unit"]:
    """What each unit adds to the start score of one token, whose `values` go into the output layer.

    The score is linear in them: start(t) = sum over k of W[0, k] h(t, k), and the bias. Example: W[0] =
    [2, -1] and h = [3, 4] add 6 and -4; the score is 2 and the bias.
    """
    weight: Tensor = head_of(opened.network).weight.detach().cpu().float()
    return weight[0] * values


def subject_of(opened: TrainedAnswerer, watched: WatchedQuestions) -> Subject:
    """What recorders see of a network that is not trained."""
    most = opened.config["data"]["max_tokens"]
    training = Watching(watched, max_tokens=most, batch_size=1, is_compiled=False)
    return Subject(opened.network, training, is_scaled=False)


def record_look(
    opened: TrainedAnswerer,
    watched: WatchedQuestions,
    recorders: dict[str, Recorder],
    path: Path,
    about: Mapping[str, Any] | None = None,
) -> Recording:
    """A recording of one look, in `path`; `about`: what else its root says.

    Raises:
        ValueError: the network does not have what a recorder asks for.
    """
    subject = subject_of(opened, watched)
    for name, recorder in recorders.items():
        recorder.prepare(name, subject)
    forward = forward_watched(
        opened.network,
        watched,
        opened.step or 0,
        [site for recorder in recorders.values() for site in recorder.sites],
    )
    captured = {name: recorder.record(forward) for name, recorder in recorders.items()}
    coordinates = coordinates_of(recorders, watched, captured)
    writer = RecordingWriter(path, {**describe(watched), **(about or {})}, coordinates)
    # Whole, but not synced: it can be made again.
    writer.append(forward.step, captured)
    writer.flush()
    return Recording(path)
