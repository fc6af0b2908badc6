"""What a recorder is: an object that turns a forward pass over the watched examples into named arrays."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.capture.forward import Forward
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.sites import Anatomy, Site
from qa_research.capture.watched import shared_coordinates
from qa_research.model.layers import chosen_layers
from qa_research.tasks.watching import Watched, Watching

# The arrays of one capture by recorder and name.
Captured = Mapping[str, Mapping[str, Array]]
# In words, the outputs of networks by their kind; and what of capture/recorders is of use for them.
_OUTPUTS = {
    "spans": "a start and an end score of each token",
    "labels": "a logit for each label of an example",
    "number": "one number for each example",
}
_ANY = (
    "head_weights",
    "attention",
    "heads",
    "activations",
    "dynamics",
    "batch_attention",
    "unit_traces",
)
RECORDERS = {
    "spans": ("logits", "attribution", *_ANY),
    "labels": ("outputs", *_ANY),
    "number": ("outputs", *_ANY),
}


@dataclass(frozen=True)
class Subject:
    """What is recorded: a network with its initial weights, and what is watched of its training.

    `is_scaled`: the loss is scaled up for float16, and while the right scale is searched for, gradients may
    overflow.
    """

    network: nn.Module
    training: Watching
    is_scaled: bool

    @property
    def watched(self) -> Watched:
        """The watched examples."""
        return self.training.watched


@dataclass(frozen=True)
class Summaries:
    """What TensorBoard shows of a capture, by tag; pictures are bytes [height, width, 3]."""

    curves: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class Recorder(ABC):
    """`prepare` once, then `record` at each capture. Does not know when that is, nor Lightning.

    After `prepare`, these say what has to be kept of forward passes: `sites` of the one over the watched
    examples; `span_sites` of the same, only at the true first and last token; `batch_sites` of the training
    step's own. `of`: the kinds of outputs (`tasks.watching.Outputs`) that it can record.
    """

    of: ClassVar[Sequence[str]] = ("spans", "labels", "number")
    sites: tuple[Site, ...] = ()
    span_sites: tuple[Site, ...] = ()
    batch_sites: tuple[Site, ...] = ()

    def check_task(self, key: str, subject: Subject) -> None:
        """Refuse a task whose outputs this recorder does not record.

        Raises:
            ValueError: so it is.
        """
        kind = subject.watched.outputs.kind
        if kind not in self.of:
            raise ValueError(
                f"{key} records {_OUTPUTS[self.of[0]]}, and this network puts out {_OUTPUTS[kind]}; "
                f"capture/recorders may have: {', '.join(RECORDERS[kind])}"
            )

    @abstractmethod
    def prepare(self, key: str, subject: Subject) -> None:
        """Check the settings against the network; `key` is their name in the config.

        Raises:
            ValueError: a layer, site or unit that the network does not have.
        """

    @abstractmethod
    def record(self, forward: Forward) -> Mapping[str, Array]:
        """The arrays of one capture; names, axes, shapes and types are the same every time."""

    def coordinates(self) -> Mapping[str, Coordinate]:
        """The coordinates along axes that only this recorder has, such as its layers."""
        return {}

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        """What TensorBoard shows of a capture."""
        return Summaries()

    def before_step(self, network: nn.Module, step: int, is_captured: bool) -> None:  # noqa: B027
        """Called before every optimizer step, when gradients exist; `is_captured`: a capture follows."""

    def after_batch(self, values: Mapping[Site, Tensor], batch: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Receives what passed the `batch_sites` with the batch that ended the step, before its capture."""

    def forget_step(self) -> None:  # noqa: B027
        """Called before a capture that was not due, at an early end: drop what an earlier step left."""

    def state(self) -> dict[str, Tensor]:
        """What the next capture needs of the latest one, for a checkpoint."""
        return {}

    def set_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Restore what `state` returned."""


class AttentionLayersRecorder(Recorder):
    """A recorder that recomputes attention from the queries and keys of `layers` (None: all)."""

    def __init__(self, layers: list[int] | None) -> None:
        self.wanted = layers

    def choose_layers(self, key: str, network: nn.Module) -> tuple[Site, ...]:
        """Set `layers`; the sites that their attention is recomputed from.

        Raises:
            ValueError: there is no layer, or one that the network does not have.
        """
        anatomy = Anatomy(network)
        self.layers = chosen_layers(f"{key}.layers", self.wanted, anatomy.layers)
        if not self.layers:
            raise ValueError(f"{key}.layers=[] records nothing; null is all layers")
        return tuple(site for layer in self.layers for site in anatomy.attention_sites(layer))

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {"layer": layer_axis(self.layers)}


def coordinates_of(
    recorders: Mapping[str, Recorder], watched: Watched, captured: Captured
) -> dict[str, dict[str, Coordinate]]:
    """By recorder, the coordinates of the axes of what it captured: those that all share, and its own."""
    found = {}
    for name, arrays in captured.items():
        axes = {axis for array in arrays.values() for axis in array.axes}
        found[name] = {**shared_coordinates(watched, axes), **recorders[name].coordinates()}
    return found


def layer_axis(layers: list[int]) -> Coordinate:
    """The coordinate of an axis `layer`: the numbers of the layers."""
    return Coordinate(("layer",), np.array(layers, dtype=np.int32))


def to_numpy(values: Tensor, dtype: str = "float32") -> NDArray[Any]:
    """A tensor as an array of that type; bfloat16, which numpy does not have, goes through float32."""
    plain = values.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy().astype(dtype)
