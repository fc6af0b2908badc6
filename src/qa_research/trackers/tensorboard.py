"""TensorBoard: curves, histograms, pictures, the network's graph, and what its HParams tab compares."""

import io
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from qa_research.signals import one_sentence
from qa_research.trackers.tracker import TrackedRun, Tracker

log = logging.getLogger(__name__)
FOLDER = "tensorboard"
# Of a histogram; torch's default of about 1,500 takes a sixth of a capture's time.
BINS = 64


class TensorBoardTracker(Tracker):
    """Event files in the run's own folder. A resumed run hides its events of the resumed step and later.

    `graph`: whether the network's graph is written when a training starts.
    """

    def __init__(self, graph: bool) -> None:
        self.with_graph = graph
        self.writer: SummaryWriter | None = None

    def start(self, run: TrackedRun) -> None:
        self.run = run
        self.folder = run.directory / FOLDER
        # None: nothing is hidden. Opened here, as trainings that are refused must leave nothing.
        self.writer = SummaryWriter(str(self.folder), purge_step=run.step or None)
        if not run.step:
            for summary in self._session()[:2]:
                self._add(summary, 0)

    def curves(self, values: Mapping[str, float], step: int) -> None:
        for tag, value in values.items():
            self._writing().add_scalar(tag, value, step)

    def picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        # SummaryWriter.add_image takes twice as long: it makes floats of the bytes, and bytes again.
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        height, width, channels = pixels.shape
        image = Summary.Image(
            height=height,
            width=width,
            colorspace=channels,
            encoded_image_string=file.getvalue(),
        )
        self._add(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def histogram(self, tag: str, values: NDArray[Any], step: int) -> None:
        self._writing().add_histogram(tag, values, step, bins=BINS)

    def graph(self, network: nn.Module, example: Mapping[str, Tensor]) -> None:
        """The network's graph, traced without dropout; its random state and mode stay as they were.

        An architecture that cannot be traced is said, and has no graph.
        """
        if not self.with_graph or self.run.step:
            return
        writer = self._writing()
        state = torch.get_rng_state()
        try:
            with warnings.catch_warnings():
                # Of torch's tracer about Python values, and about its own successor.
                warnings.simplefilter("ignore")
                writer.add_graph(_Traced(network, tuple(example)), tuple(example.values()))
        except Exception as error:
            # What torch and a foreign network raise depends on the network.
            log.warning("TensorBoard has no graph of this network: %s", one_sentence(error))
        finally:
            torch.set_rng_state(state)

    def sync(self) -> None:
        self._writing().flush()
        for path in (self.run.directory / FOLDER).glob("events.*"):
            with path.open("rb") as file:
                os.fsync(file.fileno())

    def finish(self, best: Mapping[str, float] | None, step: int) -> None:
        if self.writer is None:
            return
        if best is not None:
            # What the HParams tab shows of a curve is its last point.
            for name, tag in self._scores().items():
                self.writer.add_scalar(tag, best[name], step)
            self._add(self._session()[2], step)
        self.writer.close()

    def command(self, directory: Path) -> tuple[str, ...] | None:
        return ("tensorboard", "--logdir", str(directory.parent.parent))

    def _writing(self) -> SummaryWriter:
        assert self.writer is not None, "not started"
        return self.writer

    def _session(self) -> tuple[Summary, Summary, Summary]:
        """What the HParams tab reads: its columns, this run's settings, and that the run has ended.

        Its sessions are folders of event files, so a resumed run stays one session.
        """
        settings = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in self.run.settings.items()
        }
        untyped: Any = hparams
        found: tuple[Summary, Summary, Summary] = untyped(
            settings, dict.fromkeys(self._scores().values(), 0.0)
        )
        return found

    def _scores(self) -> dict[str, str]:
        """The scores that the tab shows, by what they are called in run.json."""
        return {name: f"best/{name}" for name in self.run.scores}

    def _add(self, summary: Summary, step: int) -> None:
        untyped: Any = self._writing()
        untyped.file_writer.add_summary(summary, step)


class _Traced(nn.Module):
    """A network as torch's tracer wants it: inputs by position, outputs as a tuple of tensors."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        output = self.network(**dict(zip(self.names, inputs, strict=True)))
        values = output.values() if isinstance(output, Mapping) else [output]
        return tuple(value for value in values if isinstance(value, Tensor))
