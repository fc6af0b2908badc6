"""Hidden values at chosen sites: by token and unit, their norms, and how similar two captures are."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import (
    Recorder,
    Subject,
    Summaries,
    layer_axis,
    to_numpy,
)
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.sites import SITE_NAMES, Anatomy, Site
from qa_research.model.layers import chosen_layers


class ActivationsRecorder(Recorder):
    """`places`: names of sites, recorded in all of `layers` (null: all), or `name:layer`, as in `context:0`.
    See capture.sites.Site. `units`: which ones at each site (null: all).

    Norms and similarity are of all units. A unit at one site has nothing to do with the unit of the same
    number at another: in `context`, unit 287 is a component of one head.
    """

    def __init__(
        self,
        places: list[str],
        layers: list[int] | None,
        units: list[int] | None,
        dtype: Literal["float16", "float32"],
    ) -> None:
        self.wanted = places
        self.wanted_layers = layers
        self.wanted_units = units
        self.dtype = dtype
        self.before: dict[str, Tensor] = {}

    def prepare(self, key: str, subject: Subject) -> None:
        anatomy = Anatomy(subject.network)
        layers = chosen_layers(f"{key}.layers", self.wanted_layers, anatomy.layers)
        # The layers of each site name; the embeddings are outside the layers: None.
        self.layers_of: dict[str, set[int | None]] = {}
        for word in self.wanted:
            name, _, layer = word.partition(":")
            if name not in SITE_NAMES:
                raise ValueError(
                    f"{key}.places has {word!r}; known places: {', '.join(SITE_NAMES)}"
                )
            if layer and not layer.removeprefix("-").isdecimal():
                raise ValueError(
                    f"{key}.places has {word!r}; after the colon comes the number of a layer"
                )
            own = self.layers_of.setdefault(name, set())
            if name == "embeddings":
                own.add(None)
            elif layer:
                own.update(chosen_layers(f"{key}.places", [int(layer)], anatomy.layers))
            else:
                own.update(layers)
        if not any(self.layers_of.values()):
            raise ValueError(f"{key}.places and {key}.layers leave nothing to record")
        self.layers = sorted({n for own in self.layers_of.values() for n in own if n is not None})
        self.units = _chosen_units(f"{key}.units", self.wanted_units, anatomy.hidden_size)
        self.sites = tuple(Site(name, n) for name, own in self.layers_of.items() for n in own)
        for site in self.sites:
            anatomy.module(site)

    def coordinates(self) -> Mapping[str, Coordinate]:
        found = {"unit": Coordinate(("unit",), np.array(self.units, dtype=np.int32))}
        if self.layers:
            found["layer"] = layer_axis(self.layers)
        return found

    def record(self, forward: Forward) -> Mapping[str, Array]:
        mask = forward.watched.mask
        arrays: dict[str, Array] = {}
        for name, own in self.layers_of.items():
            values, norms, similarities = [], [], []
            # All sites share one axis of layers, with NaN where a site is not recorded.
            for layer in [None] if None in own else self.layers:
                if layer not in own:
                    values.append(torch.full((*mask.shape, len(self.units)), torch.nan))
                    norms.append(torch.full(mask.shape, torch.nan))
                    similarities.append(torch.nan)
                    continue
                value = forward.values[Site(name, layer)]
                shown = value[:, :, self.units].masked_fill(~mask[:, :, None], torch.nan)
                values.append(shown)
                norms.append(value.norm(dim=2).masked_fill(~mask, torch.nan))
                similarities.append(self._similarity_to_previous(name, layer, value[mask]))
            arrays |= self._arrays(name, values, norms, similarities)
        return arrays

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        curves, histograms = {}, {}
        for name, array in captured.items():
            if name.endswith("_cka"):
                layers = [f" {layer}" for layer in self.layers] if array.axes else [""]
                for layer, value in zip(layers, np.atleast_1d(array.values), strict=True):
                    if np.isfinite(value):
                        curves[f"similarity_to_previous/{name[:-4]}{layer}"] = float(value)
            elif not name.endswith("_norm"):
                finite = array.values[np.isfinite(array.values)]
                histograms[f"activations/{name}"] = finite.astype(np.float32)
        return Summaries(curves=curves, histograms=histograms)

    def state(self) -> dict[str, Tensor]:
        return dict(self.before)

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        self.before = dict(state)

    def _similarity_to_previous(self, name: str, layer: int | None, now: Tensor) -> float:
        # These keys are in checkpoints; -1 stands for outside the layers.
        key = f"{name}:{-1 if layer is None else layer}"
        before, self.before[key] = self.before.get(key), now
        return torch.nan if before is None else similarity(before, now)

    def _arrays(
        self, name: str, values: list[Tensor], norms: list[Tensor], similarities: list[float]
    ) -> dict[str, Array]:
        axes: tuple[str, ...] = ("layer",)
        stacked, lengths = torch.stack(values, dim=1), torch.stack(norms, dim=1)
        similar = np.array(similarities, dtype=np.float32)
        if name == "embeddings":
            axes, stacked, lengths, similar = (), stacked[:, 0], lengths[:, 0], similar[0]
        return {
            name: Array(
                ("question", *axes, "token", "unit"),
                to_numpy(stacked, self.dtype),
                "1",
                f"value of each unit at {name}",
            ),
            f"{name}_norm": Array(
                ("question", *axes, "token"), to_numpy(lengths), "1", f"Euclidean norm at {name}"
            ),
            f"{name}_cka": Array(
                axes,
                np.asarray(similar),
                "1",
                f"debiased linear CKA of {name} with the previous capture, over all watched tokens",
            ),
        }


def similarity(before: Float[Tensor, "token unit"], after: Float[Tensor, "token other"]) -> float:
    """Debiased linear centred kernel alignment (CKA) of two representations of the same tokens, at most 1.

    1: equal up to rotation and scale; 0 on average for unrelated ones, also where units are many and tokens
    few, of which the plain one makes 0.5 and more. NaN if one of them does not vary, or of fewer than four
    tokens.

    Example, five tokens with one unit each: x = [-2, -1, 0, 1, 2] and y = 20 x + 3 have 1; y = x^2 - 2, which
    is not correlated with x, has -0.55: of so few tokens it scatters widely around 0.

    Source: Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, section 3, with
        the unbiased estimate of HSIC of Song et al. 2012, Feature Selection via Dependence Maximization.
    """
    if len(before) < 4:
        return float("nan")
    x = before.double() - before.double().mean(dim=0)
    y = after.double() - after.double().mean(dim=0)
    own = _hsic(x, x) * _hsic(y, y)
    varies = bool(x.any()) and bool(y.any()) and own > 0
    return _hsic(x, y) / own**0.5 if varies else float("nan")


def _hsic(x: Float[Tensor, "token unit"], y: Float[Tensor, "token other"]) -> float:
    """n (n - 3) times the unbiased HSIC of the linear kernels, without making their [token, token] tables."""
    # With K = x x^T and L = y y^T and zeros on their diagonals, it is
    # tr(KL) + sum(K) sum(L) / (n-1)(n-2) - 2 sum(KL) / (n-2). As x and y are centred, the rows of the full
    # tables sum to 0, so a row of K sums to minus its diagonal entry.
    n = len(x)
    k, m = x.square().sum(dim=1), y.square().sum(dim=1)
    trace = (y.T @ x).square().sum() - k @ m
    return float(trace + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m) / (n - 2))


def _chosen_units(key: str, wanted: list[int] | None, count: int) -> list[int]:
    if wanted is None:
        return list(range(count))
    unknown = [unit for unit in wanted if not 0 <= unit < count]
    if unknown or not wanted:
        raise ValueError(f"{key}={wanted}: the units of this network are 0 to {count - 1}")
    return list(dict.fromkeys(wanted))
