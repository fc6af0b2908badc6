"""What passes the layers of a network over some examples: computed anew, or read from a recording."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from qa_research.capture.forward import forward_watched
from qa_research.capture.recording.reader import Recording
from qa_research.capture.sites import Anatomy, Site
from qa_research.console import tracked
from qa_research.probe.labels import WHOLE, Items
from qa_research.tasks.opened import Opened
from qa_research.tasks.watching import Watched

# Small, so that few short examples are padded to a long one.
BATCH = 16
GROUP = "activations"


@dataclass(frozen=True)
class Activations:
    """What passed some sites over the same examples: by site, of each example its tokens' vectors."""

    values: Mapping[Site, Sequence[Float[ndarray, "_token unit"]]]

    def of(self, site: Site, items: Items) -> Float[ndarray, "item unit"]:
        """The vector of each item at a site: its token's, or the mean of all tokens of its example."""
        own = self.values[site]
        rows = [
            own[example].mean(axis=0) if token == WHOLE else own[example][token]
            for example, token in zip(items.example, items.token, strict=True)
        ]
        return np.stack(rows).astype(np.float64)


def sites_of(network: nn.Module) -> list[Site]:
    """What is probed: the embeddings, and the output of each layer.

    Raises:
        ValueError: where the network computes what is not known.
    """
    anatomy = Anatomy(network)
    found = [Site("embeddings"), *(Site("layer_output", n) for n in range(anatomy.layers))]
    for site in found:
        anatomy.module(site)
    return found


def name_of(site: Site) -> str:
    """A site as it is shown: `embeddings`, or `layer 3`."""
    return site.name if site.layer is None else f"layer {site.layer}"


def batches(opened: Opened[Any], rows: Sequence[Any]) -> list[Watched]:
    """Examples as a network reads them, some at a time."""
    return [opened.watched(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]


def activations_of(
    network: nn.Module, watched: Sequence[Watched], sites: Sequence[Site], what: str
) -> Activations:
    """What passes the sites of a network, in eval mode and float32; `what`: of the progress shown."""
    values: dict[Site, list[ndarray]] = {site: [] for site in sites}
    for batch in tracked(watched, what):
        forward = forward_watched(network, batch, 0, sites)
        for site in sites:
            own = forward.values[site].numpy()
            values[site] += [own[i, : len(e.tokens)] for i, e in enumerate(batch.examples)]
    return Activations(values)


def recorded_activations(
    recording: Recording, sites: Sequence[Site], lengths: Sequence[int]
) -> Iterator[tuple[int, Activations]]:
    """(step, what passed the sites then) of each capture of a recording.

    `lengths`: how many tokens each recorded example has.

    Raises:
        ValueError: nothing, not all sites, or not all units were recorded of activations.
    """
    if GROUP not in recording.recorders:
        raise ValueError(
            f"{recording.path} has no {GROUP} (it has {', '.join(recording.recorders)}); a training with "
            "capture/recorders=[activations] records them, and without --recorded they are computed anew"
        )
    found = recording.read(GROUP)
    layers = found["layer"].values.tolist() if "layer" in found.coords else []
    missing = [
        name_of(site)
        for site in sites
        if site.name not in found or (site.layer is not None and site.layer not in layers)
    ]
    if missing:
        raise ValueError(
            f"{recording.path} has no activations of {', '.join(missing)}; capture.activations.layers=null "
            "and places that name embeddings and layer_output record them"
        )
    for number, step in enumerate(found["step"].values.tolist()):
        values: dict[Site, list[ndarray]] = {}
        for site in sites:
            array = found[site.name].isel(step=number)
            chosen = array if site.layer is None else array.sel(layer=site.layer)
            own = chosen.transpose("question", "token", "unit").values
            values[site] = [own[i, :length] for i, length in enumerate(lengths)]
        yield step, Activations(values)
