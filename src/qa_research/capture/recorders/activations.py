"""Hidden values at chosen places: by token and unit, their norms, and how alike two captures are."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.capture.forward import PLACES, Anatomy, Forward, Site, chosen_layers
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, numbers
from qa_research.capture.recording.arrays import Array, Coordinate

OUTSIDE = -1


class ActivationsRecorder(Recorder):
    """`places`: names, taken at all of `layers` (null: all), or `name:layer`, as `context:0`; what a place
    is stands in capture.places.Site. `units`: which of each place (null: all).

    All units count for the norms and for the similarity. A unit of one place has nothing to do with the
    unit of the same number at another: in `context`, unit 287 is a component of one head.
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
        self.by_place: dict[str, set[int]] = {}
        for word in self.wanted:
            place, _, layer = word.partition(":")
            if place not in PLACES:
                raise ValueError(f"{key}.places has {word!r}; known places: {', '.join(PLACES)}")
            if layer and not layer.removeprefix("-").isdecimal():
                raise ValueError(
                    f"{key}.places has {word!r}; after the colon stands a layer's number"
                )
            own = self.by_place.setdefault(place, set())
            if place == "embeddings":
                own.add(OUTSIDE)
            elif layer:
                own.update(chosen_layers(f"{key}.places", [int(layer)], anatomy.layers))
            else:
                own.update(layers)
        if not any(self.by_place.values()):
            raise ValueError(f"{key}.places and {key}.layers leave nothing to record")
        self.layers = sorted(set().union(*self.by_place.values()) - {OUTSIDE})
        self.units = _chosen_units(f"{key}.units", self.wanted_units, anatomy.hidden_size)
        self.sites = tuple(
            Site(place, None if layer == OUTSIDE else layer)
            for place, own in self.by_place.items()
            for layer in sorted(own)
        )

    def coordinates(self) -> Mapping[str, Coordinate]:
        found = {"unit": Coordinate(("unit",), np.array(self.units, dtype=np.int32))}
        if self.layers:
            found["layer"] = Coordinate(("layer",), np.array(self.layers, dtype=np.int32))
        return found

    def record(self, forward: Forward) -> Mapping[str, Array]:
        mask = forward.watched.mask
        arrays: dict[str, Array] = {}
        for place, own in self.by_place.items():
            values, norms, alike = [], [], []
            for layer in [OUTSIDE] if OUTSIDE in own else self.layers:
                if layer not in own:
                    values.append(torch.full((*mask.shape, len(self.units)), torch.nan))
                    norms.append(torch.full(mask.shape, torch.nan))
                    alike.append(torch.nan)
                    continue
                value = forward.values[Site(place, None if layer == OUTSIDE else layer)]
                shown = value[:, :, self.units].masked_fill(~mask[:, :, None], torch.nan)
                values.append(shown)
                norms.append(value.norm(dim=2).masked_fill(~mask, torch.nan))
                name = f"{place}:{layer}"
                before, self.before[name] = self.before.get(name), value[mask]
                alike.append(torch.nan if before is None else similarity(before, value[mask]))
            arrays |= self._named(place, values, norms, alike)
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

    def _named(
        self, place: str, values: list[Tensor], norms: list[Tensor], alike: list[float]
    ) -> dict[str, Array]:
        axes: tuple[str, ...] = ("layer",)
        stacked, lengths = torch.stack(values, dim=1), torch.stack(norms, dim=1)
        similar = np.array(alike, dtype=np.float32)
        if place == "embeddings":
            axes, stacked, lengths, similar = (), stacked[:, 0], lengths[:, 0], similar[0]
        return {
            place: Array(
                ("question", *axes, "token", "unit"),
                numbers(stacked, self.dtype),
                "1",
                f"value of each unit at {place}",
            ),
            f"{place}_norm": Array(
                ("question", *axes, "token"), numbers(lengths), "1", f"Euclidean norm at {place}"
            ),
            f"{place}_cka": Array(
                axes,
                np.asarray(similar),
                "1",
                f"linear CKA of {place} with the previous capture, over all watched tokens",
            ),
        }


def similarity(before: Float[Tensor, "token unit"], after: Float[Tensor, "token other"]) -> float:
    """Linear centred kernel alignment of two representations of the same tokens, in [0, 1]; 1: equal up to
    rotation and scale. NaN where one of them does not vary.

    Source: Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, section 3.
    """
    x = before.double() - before.double().mean(dim=0)
    y = after.double() - after.double().mean(dim=0)
    scale = (x.T @ x).norm() * (y.T @ y).norm()
    return float((y.T @ x).norm() ** 2 / scale) if scale > 0 else float("nan")


def _chosen_units(key: str, wanted: list[int] | None, count: int) -> list[int]:
    if wanted is None:
        return list(range(count))
    unknown = [unit for unit in wanted if not 0 <= unit < count]
    if unknown or not wanted:
        raise ValueError(f"{key}={wanted}: the units of this network are 0 to {count - 1}")
    return list(dict.fromkeys(wanted))
