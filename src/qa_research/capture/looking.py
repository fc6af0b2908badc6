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
from qa_research.capture.watched import Watched, describe, watched_windows
from qa_research.model.bert import head_of
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.trained import TrainedAnswerer


def windows_of_answers(
    opened: TrainedAnswerer, asked: Sequence[tuple[str, Question]], answers: Sequence[Answer]
) -> Watched:
    """The windows that hold the answers, with each answer as the span to mark; `asked`: (split, question)."""
    rows = []
    for (split, row), answer in zip(asked, answers, strict=True):
        given = (Gold(answer.text, answer.char_start),) if answer.text else ()
        rows.append((split, replace(row, answers=given, is_labelled=True)))
    data = opened.config["data"]
    return watched_windows(rows, opened.tokenizer, data["max_tokens"], data["stride_tokens"])


def shares(opened: TrainedAnswerer, values: Float[Tensor, " unit"]) -> Float[Tensor, " unit"]:
    """What each unit adds to the start score of one token, whose `values` go into the output layer.

    The score is linear in them: start(t) = sum over k of W[0, k] h(t, k), and the bias. Example: W[0] =
    [2, -1] and h = [3, 4] add 6 and -4; the score is 2 and the bias.
    """
    weight: Tensor = head_of(opened.network).weight.detach().cpu().float()
    return weight[0] * values


def subject_of(opened: TrainedAnswerer, watched: Watched) -> Subject:
    """What recorders see of a network that is not trained."""
    return Subject(
        network=opened.network,
        watched=watched,
        answering=opened.answering,
        max_tokens=opened.config["data"]["max_tokens"],
        batch_size=1,
        is_compiled=False,
        is_scaled=False,
    )


def record_look(
    opened: TrainedAnswerer,
    watched: Watched,
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
