"""What every recorder is: a plain object that turns a look at the watched questions into named arrays."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.capture.forward import Forward, Site
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.watched import Watched
from qa_research.tasks.answering.decode import AnswerSettings


@dataclass(frozen=True)
class Subject:
    """What is recorded: a network with its initial weights, the watched questions, how answers are given.

    `max_tokens`: the most tokens of a training window. `batch_size`: windows of a training batch.
    `is_compiled`: hooks are not called in training. `is_scaled`: gradients may overflow, as the loss is
    scaled up for float16 and the scale is found by trying.
    """

    network: PreTrainedModel
    watched: Watched
    answering: AnswerSettings
    max_tokens: int
    batch_size: int
    is_compiled: bool
    is_scaled: bool


@dataclass(frozen=True)
class Summaries:
    """What TensorBoard shows of a capture, by tag; pictures are [height, width, 3] of bytes."""

    curves: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class Recorder(ABC):
    """`prepare` once, then `record` at each capture. Knows nothing of when, and nothing of Lightning.

    What has to be taken from forward passes is known after `prepare`: `sites` from that over the watched
    questions, of `span_sites` only the true first and last token, `batch_sites` from the training step's own.
    """

    sites: tuple[Site, ...] = ()
    span_sites: tuple[Site, ...] = ()
    batch_sites: tuple[Site, ...] = ()

    @abstractmethod
    def prepare(self, key: str, subject: Subject) -> None:
        """Check the settings against the network; `key` is their name in the config.

        Raises:
            ValueError: a layer, place or unit that the network does not have.
        """

    @abstractmethod
    def record(self, forward: Forward) -> Mapping[str, Array]:
        """The arrays of one capture; their names, axes, shapes and types are always the same."""

    def coordinates(self) -> Mapping[str, Coordinate]:
        """What stands along the axes that only this recorder has, such as the layers it was asked for."""
        return {}

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        """What TensorBoard shows of a capture."""
        return Summaries()

    def before_step(self, network: PreTrainedModel, step: int, is_captured: bool) -> None:  # noqa: B027
        """Called before every optimizer step, the gradients being there; `is_captured`: a capture follows."""

    def forget_step(self) -> None:  # noqa: B027
        """Called where the latest step is captured without having been due, at an early end."""

    def after_batch(self, values: Mapping[Site, Tensor], batch: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Given what passed the `batch_sites` with the batch that ended the step, before it is captured."""

    def state(self) -> dict[str, Tensor]:
        """What the next capture needs of the latest one, for a checkpoint."""
        return {}

    def set_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Put back what `state` gave."""


def numbers(values: Tensor, dtype: str = "float32") -> NDArray[Any]:
    """A tensor as a numpy array of that type; bfloat16, which numpy does not have, goes through float32."""
    plain = values.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy().astype(dtype)
