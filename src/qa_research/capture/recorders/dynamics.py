"""How all parameters move: gradients, updates, change since the start; the first gradient that explodes."""

import logging
import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Gt
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, to_numpy
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.model.parameters import JOINT, KINDS, kind_of, layer_of

log = logging.getLogger(__name__)
# Steps that set a gradient's usual size before anything counts as an explosion.
WARM_UP = 20


class DynamicsRecorder(Recorder):
    """Norms by parameter tensor; keeps one copy of all parameters, and a second one at a captured step.

    A gradient that is not finite, or more than `explodes_at` times its own running mean, is reported in the
    log, at whatever step it occurs.
    """

    def __init__(self, histograms: bool, explodes_at: Annotated[float, Gt(1)]) -> None:
        self.histograms = histograms
        self.explodes_at = explodes_at
        self.gradients: Tensor | None = None
        self.before: list[Tensor] = []
        self.distributions: dict[str, NDArray[Any]] = {}
        self.usual: Tensor | None = None
        self.seen = 0
        self.is_exploding = False

    def prepare(self, key: str, subject: Subject) -> None:
        # The initial weights, even if a run is resumed: its checkpoint is loaded later.
        self.is_scaled = subject.is_scaled
        # A strategy of finetuning may let some of them train later: their gradients are zero until then.
        named = [(n, p) for n, p in subject.network.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.first = [p.detach().cpu().clone() for _, p in named]

    def coordinates(self) -> Mapping[str, Coordinate]:
        own = [kind_of(name) for name in self.names]
        known = (*KINDS, JOINT) if JOINT in own else KINDS
        kinds = np.array([known.index(kind) for kind in own], dtype=np.int8)
        layers = np.array([layer_of(name) for name in self.names], dtype=np.int32)
        return {
            "parameter": Coordinate(("parameter",), self.names),
            "kind": Coordinate(("parameter",), kinds, known),
            "parameter_layer": Coordinate(("parameter",), layers),
        }

    def before_step(self, network: nn.Module, step: int, is_captured: bool) -> None:
        parameters: list[Tensor] = [network.get_parameter(name) for name in self.names]
        norms = torch.stack(
            [
                p.new_zeros((), dtype=torch.float32) if p.grad is None else p.grad.norm().float()
                for p in parameters
            ]
        ).cpu()
        self._check(norms, parameters, step)
        if is_captured:
            self.gradients = norms
            self.before = [p.detach().clone() for p in parameters]
            if self.histograms:
                self.distributions = {
                    f"gradients/{n}": to_numpy(p.grad)
                    for n, p in zip(self.names, parameters, strict=True)
                    if p.grad is not None
                }

    def record(self, forward: Forward) -> Mapping[str, Array]:
        parameters = [forward.network.get_parameter(name).detach() for name in self.names]
        nothing = torch.full((len(parameters),), torch.nan)
        gradients, self.gradients = self.gradients, None
        before, self.before = self.before, []
        updates = nothing
        if before:
            moved = [_relative(p, b) for p, b in zip(parameters, before, strict=True)]
            updates = torch.stack(moved)
        changed = [_relative(p.cpu(), w) for p, w in zip(parameters, self.first, strict=True)]
        if self.histograms:
            self.distributions |= {
                f"weights/{n}": to_numpy(p) for n, p in zip(self.names, parameters, strict=True)
            }
        axes = ("parameter",)
        return {
            "gradient_norm": Array(
                axes,
                to_numpy(nothing if gradients is None else gradients),
                "1",
                "norm of the gradient of the latest step, before clipping",
            ),
            "update_ratio": Array(
                axes,
                to_numpy(updates),
                "1",
                "norm of the latest update, divided by that of the weights; NaN if that was zero",
            ),
            "change": Array(
                axes,
                to_numpy(torch.stack(changed)),
                "1",
                "norm of the change since step 0, divided by the norm then; NaN if that was zero",
            ),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        curves: dict[str, float] = {}
        for name, array in captured.items():
            grouped: dict[str, list[float]] = {}
            for parameter, value in zip(self.names, array.values.tolist(), strict=True):
                layer = layer_of(parameter)
                group = kind_of(parameter) if layer < 0 else f"{kind_of(parameter)} {layer}"
                if math.isfinite(value):
                    grouped.setdefault(group, []).append(value)
            for group, values in grouped.items():
                curves[f"dynamics_{name}/{group}"] = sum(values) / len(values)
        shown, self.distributions = self.distributions, {}
        finite = {n: v for n, v in shown.items() if np.isfinite(v).all()}
        return Summaries(curves=curves, histograms=finite)

    def state(self) -> dict[str, Tensor]:
        if self.usual is None:
            return {}
        counts = torch.tensor([self.seen, int(self.is_exploding)])
        return {"usual": self.usual, "counts": counts}

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self.usual = state["usual"]
            self.seen, self.is_exploding = int(state["counts"][0]), bool(state["counts"][1])

    def forget_step(self) -> None:
        self.gradients, self.before, self.distributions = None, [], {}

    def _check(self, norms: Tensor, parameters: list[Tensor], step: int) -> None:
        """Report exploding gradients, once until all are normal again, and update what is usual.

        Example with `explodes_at` 1000: norms of about 0.2 for 20 steps make 0.2 usual; a norm of 300 is
        1500 times that and is reported. The running mean counts the latest 100 steps or so.
        """
        finite = torch.isfinite(norms)
        if self.usual is None:
            self.usual = torch.zeros_like(norms)
        limits = torch.where(self.usual > 0, self.usual * self.explodes_at, torch.inf)
        exploding = torch.zeros_like(finite)
        if self.seen >= WARM_UP:
            exploding = (norms > limits) & finite
        if not self.is_scaled:
            # With a scaled loss overflows are expected, and the scaler skips such steps.
            exploding |= ~finite
        if exploding.any() and not self.is_exploding:
            log.warning("Step %d: %s", step, self._report(norms, exploding, parameters))
        self.is_exploding = bool(exploding.any())
        if finite.all():
            self.usual += (norms - self.usual) / min(self.seen + 1, 100)
            self.seen += 1

    def _report(self, norms: Tensor, exploding: Tensor, parameters: list[Tensor]) -> str:
        if not torch.isfinite(norms).any():
            broken = [
                name
                for name, p in zip(self.names, parameters, strict=True)
                if not torch.isfinite(p).all()
            ]
            reason = "the loss itself is not finite, but all weights are"
            if broken:
                reason = f"{broken[0]} is the first weight tensor that is not finite"
            return f"no gradient is finite: {reason}"
        # Gradients flow from the head down, so the last of the exploding tensors was the first to explode.
        first = int(exploding.nonzero().flatten()[-1])
        size = f"{norms[first]:.3g}"
        if self.usual is not None and torch.isfinite(norms[first]):
            size += f", {norms[first] / self.usual[first]:.0f} times its usual size"
        others = int(exploding.sum()) - 1
        more = f", followed by {others} others" if others else ""
        return f"the gradient of {self.names[first]} is {size}; it was the first to explode{more}"


def _relative(after: Tensor, before: Tensor) -> Tensor:
    """Norm of the change, divided by the norm before; NaN if that is zero."""
    size = before.norm().float()
    return torch.where(size > 0, (after - before).norm().float() / size, torch.nan)
