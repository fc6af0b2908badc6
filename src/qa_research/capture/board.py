"""What TensorBoard shows of captures: curves, distributions, pictures, and vectors to walk among."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger

from qa_research.capture.arrays import Array
from qa_research.capture.forward import Forward
from qa_research.capture.places import FINAL
from qa_research.capture.recorders.recorder import Recorder, Summaries
from qa_research.capture.watched import PARTS, Watched

TOKENS, QUESTIONS = "watched_tokens", "watched_questions"


class Board:
    """Curves and distributions at every capture; pictures at the 1st, 2nd, 3rd, 5th, 9th, 17th ... one, as
    they are large and TensorBoard keeps few; vectors at the last one.
    """

    def __init__(self, logger: TensorBoardLogger, watched: Watched) -> None:
        self.logger = logger
        self.watched = watched
        # Of the latest capture.
        self.curves: dict[str, float] = {}

    def show(
        self,
        step: int,
        count: int,
        recorders: Mapping[str, Recorder],
        captured: Mapping[str, Mapping[str, Array]],
    ) -> None:
        """One capture, of which there have been `count` before."""
        self.curves = {}
        for shown in self._show_all(step, count, recorders, captured):
            self.curves |= shown.curves
        self._draw(self.curves, step)

    def show_again(
        self,
        step: int,
        count: int,
        recorders: Mapping[str, Recorder],
        captured: Mapping[str, Mapping[str, Array]],
    ) -> None:
        """The latest capture where a training goes on: TensorBoard can only be cut before a step.

        Its `curves` as they were then; what else is shown follows from the weights.
        """
        for _ in self._show_all(step, count, recorders, captured):
            pass
        self._draw(self.curves, step)

    def _draw(self, curves: Mapping[str, float], step: int) -> None:
        for tag, value in curves.items():
            self.logger.experiment.add_scalar(tag, value, step)

    def _show_all(
        self,
        step: int,
        count: int,
        recorders: Mapping[str, Recorder],
        captured: Mapping[str, Mapping[str, Array]],
    ) -> Iterator[Summaries]:
        with_pictures = count < 2 or (count & (count - 1)) == 0
        writer = self.logger.experiment
        for name, arrays in captured.items():
            shown = recorders[name].summaries(arrays, with_pictures)
            yield shown
            for tag, values in shown.histograms.items():
                writer.add_histogram(tag, values, step)
            for tag, picture in shown.pictures.items():
                writer.add_image(tag, picture, step, dataformats="HWC")

    def project(self, forward: Forward) -> None:
        """What the head reads of every watched token, and of each question's [CLS], for the projector."""
        folder = Path(self.logger.log_dir)
        # A training that was stopped after this, and does it again, would find them there.
        for place in folder.glob("*/watched_*"):
            shutil.rmtree(place)
        (folder / "projector_config.pbtxt").unlink(missing_ok=True)
        values = forward.values[FINAL]
        labels = [
            [token, PARTS[part], row.id, row.kind]
            for row, tokens, parts in zip(
                self.watched.questions, self.watched.tokens, self.watched.parts, strict=True
            )
            for token, part in zip(tokens, parts, strict=False)
        ]
        self._add(
            TOKENS,
            values[self.watched.mask],
            labels,
            ["token", "part", "question", "kind"],
            forward.step,
        )
        asked = [
            [row.question, row.kind, row.id, split]
            for row, split in zip(self.watched.questions, self.watched.splits, strict=True)
        ]
        self._add(QUESTIONS, values[:, 0], asked, ["question", "kind", "id", "split"], forward.step)

    def _add(
        self, tag: str, vectors: torch.Tensor, labels: list[list[str]], header: list[str], step: int
    ) -> None:
        plain = [[" ".join(str(word).split()) or "?" for word in row] for row in labels]
        writer: Any = self.logger.experiment
        writer.add_embedding(
            vectors, metadata=plain, metadata_header=header, global_step=step, tag=tag
        )
