"""How all parameters move: gradients, updates, change since the start; and the first that goes astray."""

import logging
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Gt
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.capture.arrays import Array, Coordinate
from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, numbers

log = logging.getLogger(__name__)
KINDS = (
    *("embeddings", "query", "key", "value", "attention_output", "mlp_in", "mlp_out"),
    *("norm", "head", "other"),
)
_PATTERNS = (
    ("embeddings", r"(^|\.)embeddings\.(?!LayerNorm)"),
    ("norm", r"LayerNorm|layer_norm"),
    ("head", r"^qa_outputs"),
    ("query", r"\.(query|q_lin)\."),
    ("key", r"\.(key|k_lin)\."),
    ("value", r"\.(value|v_lin)\."),
    ("attention_output", r"\.(attention\.output\.dense|out_lin)\."),
    ("mlp_in", r"\.(intermediate\.dense|ffn\.lin1)\."),
    ("mlp_out", r"\.(output\.dense|ffn\.lin2)\."),
)
_LAYER = re.compile(r"\.layer\.(\d+)\.")
# Steps over which a gradient's usual size is learned before anything counts as an explosion.
WARM_UP = 20


class DynamicsRecorder(Recorder):
    """By parameter tensor; holds one copy of all parameters, and a second one at a captured step.

    At every step the first gradient that is not finite, or is more than `explodes_at` times its own running
    mean, is named in the log.
    """

    def __init__(self, histograms: bool, explodes_at: Annotated[float, Gt(1)]) -> None:
        self.histograms = histograms
        self.explodes_at = explodes_at
        self.gradients: Tensor | None = None
        self.before: list[Tensor] = []
        self.distributions: dict[str, NDArray[Any]] = {}
        self.usual: Tensor | None = None
        self.seen = 0
        self.is_astray = False

    def prepare(self, key: str, subject: Subject) -> None:
        # The initial weights, also where a run goes on: a checkpoint is read later than this.
        named = [(n, p) for n, p in subject.network.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.first = [p.detach().cpu().clone() for _, p in named]

    def coordinates(self) -> Mapping[str, Coordinate]:
        kinds = np.array([KINDS.index(kind_of(name)) for name in self.names], dtype=np.int8)
        layers = np.array([layer_of(name) for name in self.names], dtype=np.int32)
        return {
            "parameter": Coordinate(("parameter",), self.names),
            "kind": Coordinate(("parameter",), kinds, KINDS),
            "parameter_layer": Coordinate(("parameter",), layers),
        }

    def before_step(self, network: PreTrainedModel, step: int, is_captured: bool) -> None:
        parameters = [p for p in network.parameters() if p.requires_grad]
        norms = torch.stack(
            [torch.zeros(()) if p.grad is None else p.grad.norm().float().cpu() for p in parameters]
        )
        self._watch(norms, step)
        if is_captured:
            self.gradients = norms
            self.before = [p.detach().clone() for p in parameters]
            if self.histograms:
                self.distributions = {
                    f"gradients/{n}": numbers(p.grad)
                    for n, p in zip(self.names, parameters, strict=True)
                    if p.grad is not None
                }

    def record(self, forward: Forward) -> Mapping[str, Array]:
        parameters = [p.detach() for p in forward.network.parameters() if p.requires_grad]
        nothing = torch.full((len(parameters),), torch.nan)
        gradients, self.gradients = self.gradients, None
        before, self.before = self.before, []
        updates = nothing
        if before:
            moved = [(p - b).norm() / b.norm() for p, b in zip(parameters, before, strict=True)]
            updates = torch.stack(moved).float()
        changed = [
            (p.cpu() - w).norm() / w.norm() if w.any() else torch.tensor(torch.nan)
            for p, w in zip(parameters, self.first, strict=True)
        ]
        if self.histograms:
            self.distributions |= {
                f"weights/{n}": numbers(p) for n, p in zip(self.names, parameters, strict=True)
            }
        axes = ("parameter",)
        return {
            "gradient_norm": Array(
                axes,
                numbers(nothing if gradients is None else gradients),
                "1",
                "norm of the gradient of the latest step, before clipping",
            ),
            "update_ratio": Array(
                axes, numbers(updates), "1", "norm of the latest update by the norm of the weights"
            ),
            "change": Array(
                axes,
                numbers(torch.stack(changed)),
                "1",
                "norm of the change since step 0 by the norm then; NaN where that was zero",
            ),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        curves: dict[str, float] = {}
        for name, array in captured.items():
            grouped: dict[str, list[float]] = {}
            for parameter, value in zip(self.names, array.values.tolist(), strict=True):
                layer = layer_of(parameter)
                place = kind_of(parameter) if layer < 0 else f"{kind_of(parameter)} {layer}"
                if math.isfinite(value):
                    grouped.setdefault(place, []).append(value)
            for place, values in grouped.items():
                curves[f"dynamics_{name}/{place}"] = sum(values) / len(values)
        shown, self.distributions = self.distributions, {}
        finite = {n: v for n, v in shown.items() if np.isfinite(v).all()}
        return Summaries(curves=curves, histograms=finite)

    def state(self) -> dict[str, Tensor]:
        if self.usual is None:
            return {}
        counts = torch.tensor([self.seen, int(self.is_astray)])
        return {"usual": self.usual, "counts": counts}

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self.usual = state["usual"]
            self.seen, self.is_astray = int(state["counts"][0]), bool(state["counts"][1])

    def _watch(self, norms: Tensor, step: int) -> None:
        """Name what goes astray, once, and learn what is usual."""
        if self.usual is None:
            self.usual = norms.clone()
        limits = torch.where(self.usual > 0, self.usual * self.explodes_at, torch.inf)
        broken = ~torch.isfinite(norms)
        exploding = (norms > limits) & (self.seen >= WARM_UP)
        astray = (broken | exploding).nonzero().flatten().tolist()
        if astray and not self.is_astray:
            self.is_astray = True
            # The gradient runs from the last tensor to the first: the last one named went first.
            worst = astray[-1]
            what = (
                f"is {norms[worst].item()}"
                if broken[worst]
                else f"is {norms[worst]:.3g}, {norms[worst] / self.usual[worst]:.0f} times its usual size"
            )
            log.warning(
                "Step %d: the gradient of %s %s; it is the first to go astray, with %d others",
                *(step, self.names[worst], what, len(astray) - 1),
            )
        kept = torch.isfinite(norms)
        self.usual[kept] += (norms[kept] - self.usual[kept]) / min(self.seen + 1, 100)
        self.seen += 1


def kind_of(name: str) -> str:
    """What a parameter belongs to, one of KINDS, from its Hugging Face name."""
    return next((kind for kind, pattern in _PATTERNS if re.search(pattern, name)), "other")


def layer_of(name: str) -> int:
    """The layer of a parameter, from 0; -1 outside the layers."""
    found = _LAYER.search(name)
    return int(found[1]) if found else -1
