"""Where things are inside the networks that are known: which module holds what of each layer.

Taking what passes through modules, without changing them.

One look at the watched questions: a forward pass that leaves no trace in the training.

Silencing attention heads, to see what they are needed for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from qa_research.capture.watched import Watched
from qa_research.model.bert import input_names

Side = Literal["input", "output"]

# What can be asked for by name; all are `hidden_size` wide. The rest is what recorders need.
PLACES = ("embeddings", "context", "attention_output", "mlp", "layer_output")

_BERT: dict[str, tuple[str, Side]] = {
    "query": ("attention.self.query", "output"),
    "key": ("attention.self.key", "output"),
    "context": ("attention.output.dense", "input"),
    "attention_added": ("attention.output.dense", "output"),
    "attention_sum": ("attention.output.LayerNorm", "input"),
    "attention_output": ("attention.output.LayerNorm", "output"),
    "mlp": ("output.dense", "output"),
    "mlp_sum": ("output.LayerNorm", "input"),
    "layer_output": ("output.LayerNorm", "output"),
}
_DISTILBERT: dict[str, tuple[str, Side]] = {
    "query": ("attention.q_lin", "output"),
    "key": ("attention.k_lin", "output"),
    "context": ("attention.out_lin", "input"),
    "attention_added": ("attention.out_lin", "output"),
    "attention_sum": ("sa_layer_norm", "input"),
    "attention_output": ("sa_layer_norm", "output"),
    "mlp": ("ffn", "output"),
    "mlp_sum": ("output_layer_norm", "input"),
    "layer_output": ("output_layer_norm", "output"),
}
# By model type: where the layers stand, and what each has where.
KNOWN: dict[str, tuple[str, dict[str, tuple[str, Side]]]] = {
    "bert": ("bert.encoder.layer", _BERT),
    "camembert": ("roberta.encoder.layer", _BERT),
    "distilbert": ("distilbert.transformer.layer", _DISTILBERT),
    "electra": ("electra.encoder.layer", _BERT),
    "roberta": ("roberta.encoder.layer", _BERT),
    "xlm-roberta": ("roberta.encoder.layer", _BERT),
}


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a layer (from 0), or outside the layers: `embeddings`, and `final`, what the head reads.

    In a layer: `context` (the heads' outputs side by side, before their projection),
    `attention_output` (after projection, residual and normalisation), `mlp` (what the feed-forward
    network gives, before both), `layer_output` (after both); and `query`, `key`, `attention_added`
    (the projection alone), `attention_sum` and `mlp_sum` (what the two normalisations read).
    """

    place: str
    layer: int | None = None


FINAL = Site("final")


def module_of(network: PreTrainedModel, site: Site) -> tuple[nn.Module, Side]:
    """The module of a site, and on which side of it the values pass.

    Raises:
        ValueError: the site is within layers, and where this network has them is not known here.
    """
    if site == FINAL:
        # Every question-answering network of Hugging Face's has its head there.
        return network.get_submodule("qa_outputs"), "input"
    return Anatomy(network).module(site)


class Anatomy:
    """What a network has where.

    Raises:
        ValueError: a network of a type whose inside is not known here.
    """

    def __init__(self, network: PreTrainedModel) -> None:
        kind = network.config.model_type
        if kind not in KNOWN:
            raise ValueError(
                f"where a {kind} network keeps its attention is not known here; it is for: "
                f"{', '.join(KNOWN)}. capture=none trains without looking inside, "
                "capture/recorders=[logits,head_weights] with what every network has"
            )
        self.network = network
        self.stem, self.parts = KNOWN[kind]
        self.layers = int(network.config.num_hidden_layers)
        self.heads = int(network.config.num_attention_heads)
        self.hidden_size = int(network.config.hidden_size)

    def module(self, site: Site) -> tuple[nn.Module, Side]:
        """The module of a site, and on which side of it the values pass."""
        if site.layer is None:
            body = self.network.get_submodule(self.stem.partition(".")[0])
            # ELECTRA's may be narrower than its layers, and are projected.
            projected = site.place == "embeddings" and hasattr(body, "embeddings_project")
            return body.get_submodule("embeddings_project" if projected else site.place), "output"
        path, side = self.parts[site.place]
        return self.network.get_submodule(f"{self.stem}.{site.layer}.{path}"), side


def chosen_layers(key: str, wanted: list[int] | None, count: int) -> list[int]:
    """Layers as asked for under `key`: None is all, -1 the last one; sorted, each once.

    Raises:
        ValueError: a layer that the network does not have.
    """
    if wanted is None:
        return list(range(count))
    for layer in wanted:
        if not -count <= layer < count:
            raise ValueError(
                f"{key} has {layer}; this network has the layers 0 to {count - 1} (or -1, the last, "
                f"to -{count})"
            )
    return sorted({layer % count for layer in wanted})


Key = TypeVar("Key")


@dataclass(frozen=True)
class Point:
    """A side of a module, and what is kept of what passes there."""

    module: nn.Module
    side: Side
    keep: Callable[[Tensor], Tensor] = Tensor.detach


@contextmanager
def tap(points: Mapping[Key, Point]) -> Iterator[dict[Key, Tensor]]:
    """A dict that fills with the input or output of modules while their network runs.

    Values are those of the latest call. No hook is left afterwards, also where the network raised. Modules
    inside a compiled graph are not seen: call `network.forward`.
    """
    found: dict[Key, Tensor] = {}
    with ExitStack() as hooks:
        for key, point in points.items():
            hooks.callback(_listen(point, found, key).remove)
        yield found


def _listen(point: Point, found: dict[Key, Tensor], key: Key) -> RemovableHandle:
    if point.side == "input":

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            found[key] = point.keep(inputs[0])

        return point.module.register_forward_pre_hook(before)

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        found[key] = point.keep(output[0] if isinstance(output, tuple) else output)

    return point.module.register_forward_hook(after)


@contextmanager
def changed_inputs(
    changes: Mapping[nn.Module, Callable[[Tensor], Tensor]],
) -> Iterator[None]:
    """While it lasts, each module is given what its function makes of its first input."""
    with ExitStack() as hooks:
        for module, change in changes.items():

            def before(
                _: nn.Module,
                inputs: tuple[Any, ...],
                change: Callable[[Tensor], Tensor] = change,
            ) -> tuple[Any, ...]:
                return (change(inputs[0]), *inputs[1:])

            hooks.callback(module.register_forward_pre_hook(before).remove)
        yield


@dataclass
class Forward:
    """What the network made of the watched questions after `step` optimizer steps, in float32 on the CPU.

    `logits`: start (row 0) and end (row 1) scores. `values`: what passed each site that was asked for whole;
    `at_span`: what passed others, at the true first token (row 0) and at the true last one (row 1).
    """

    step: int
    network: PreTrainedModel
    watched: Watched
    logits: Float[Tensor, "question row token"]
    values: dict[Site, Float[Tensor, "question token unit"]]
    at_span: dict[Site, Float[Tensor, "question row unit"]]

    def attention(self, layer: int) -> Float[Tensor, "question head query key"]:
        """A layer's attention, from its queries and keys; zero towards padding. Computed at each call: kept
        for all layers it would be the largest thing by far.
        """
        return attention_weights(
            self.values[Site("query", layer)],
            self.values[Site("key", layer)],
            self.watched.mask,
            int(self.network.config.num_attention_heads),
        )


def look(
    network: PreTrainedModel,
    watched: Watched,
    step: int,
    whole: Iterable[Site] = (),
    at_span: Iterable[Site] = (),
) -> Forward:
    """Run the watched questions in eval mode, float32, without gradients, on random state of its own.

    Uncompiled, so that a compiled network stays as it is. Modes and hooks are as before afterwards, also
    where the network raises.
    """
    device = network.device
    spans = watched.spans.to(device)
    every = torch.arange(len(spans), device=device)[:, None]
    sites = [(site, False) for site in set(whole)] + [(site, True) for site in set(at_span)]
    points = {
        (site, cut): Point(
            *module_of(network, site),
            (lambda value: value.detach()[every, spans].float().cpu()) if cut else _kept,
        )
        for site, cut in sites
    }
    names = input_names(network) - {"start_positions", "end_positions"}
    inputs = {n: t.to(device) for n, t in watched.batch.items() if n in names}
    modes = [(module, module.training) for module in network.modules()]
    with (
        torch.no_grad(),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.autocast(device.type, enabled=False),
        tap(points) as found,
    ):
        try:
            network.eval()
            output = network.forward(**inputs)
        finally:
            for module, mode in modes:
                module.training = mode
    return Forward(
        step=step,
        network=network,
        watched=watched,
        logits=torch.stack([output.start_logits, output.end_logits], dim=1).float().cpu(),
        values={site: value for (site, cut), value in found.items() if not cut},
        at_span={site: value for (site, cut), value in found.items() if cut},
    )


def _kept(value: Tensor) -> Tensor:
    return value.detach().float().cpu()


def attention_weights(
    query: Float[Tensor, "question token unit"],
    key: Float[Tensor, "question token unit"],
    mask: Bool[Tensor, "question token"],
    heads: int,
) -> Float[Tensor, "question head token token"]:
    """softmax(QK^T / sqrt(d)) of each head, over the keys that `mask` allows, without dropout.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.
    """
    count, tokens, width = query.shape
    size = width // heads
    queries = query.float().view(count, tokens, heads, size).transpose(1, 2)
    keys = key.float().view(count, tokens, heads, size).transpose(1, 2)
    scores = queries @ keys.transpose(2, 3) * size**-0.5
    weights: Tensor = scores.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(dim=-1)
    return weights


@contextmanager
def silenced(network: PreTrainedModel, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """While it lasts, the given (layer, head) add nothing: their part of the context is zero.

    The network is not changed; what is changed is what passes through it, by hook.

    Raises:
        ValueError: a head that the network does not have, or a network whose inside is not known.
    """
    anatomy = Anatomy(network)
    size = anatomy.hidden_size // anatomy.heads
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        if not (0 <= layer < anatomy.layers and 0 <= head < anatomy.heads):
            raise ValueError(
                f"there is no head {head} in layer {layer}; this network has the layers 0 to "
                f"{anatomy.layers - 1} with the heads 0 to {anatomy.heads - 1}"
            )
        by_layer.setdefault(layer, []).append(head)

    def without(silent: list[int]) -> Callable[[Tensor], Tensor]:
        kept = torch.ones(anatomy.heads, size)
        kept[silent] = 0.0
        return lambda context: context * kept.flatten().to(context)

    changes = {
        anatomy.module(Site("context", layer))[0]: without(silent)
        for layer, silent in by_layer.items()
    }
    with changed_inputs(changes):
        yield
