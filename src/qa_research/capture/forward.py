"""Looking into a network while it runs, without changing it: hooks that keep values or change what passes, a
forward pass over the watched examples that leaves no trace in the training, and attention recomputed from it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

from qa_research.capture.sites import Anatomy, Site, module_of
from qa_research.model.attended import attention_of_scores, local, scores
from qa_research.model.bert import input_names
from qa_research.model.places import Side
from qa_research.tasks.watching import Watched

Key = TypeVar("Key")


@dataclass(frozen=True)
class HookPoint:
    """One side of a module, and what to keep of the values that pass there."""

    module: nn.Module
    side: Side
    keep: Callable[[Tensor], Tensor] = Tensor.detach


@contextmanager
def tap(points: Mapping[Key, HookPoint]) -> Iterator[dict[Key, Tensor]]:
    """A dict that fills with the inputs or outputs of modules while their network runs.

    It holds the values of the latest call. No hook remains afterwards, even if the network raises. Modules
    inside a compiled graph call no hooks: call `network.forward`.
    """
    found: dict[Key, Tensor] = {}
    with ExitStack() as hooks:
        for key, point in points.items():
            hooks.callback(_register(point, found, key).remove)
        yield found


def _register(point: HookPoint, found: dict[Key, Tensor], key: Key) -> RemovableHandle:
    if point.side == "input":

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            found[key] = point.keep(inputs[0])

        return point.module.register_forward_pre_hook(before)

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        found[key] = point.keep(output[0] if isinstance(output, tuple) else output)

    return point.module.register_forward_hook(after)


@dataclass
class Forward:
    """What the network made of the watched examples after `step` optimizer steps, in float32 on the CPU.

    `scores`: what it puts out, as `Watched.outputs` says: of questions, start (row 0) and end (row 1) of each
    token. `values`: what passed the requested sites; FINAL has no token axis in a network whose head reads
    one vector of each example. `at_span`: what passed other sites, only at the true first token (row 0) and
    at the true last one (row 1).
    """

    step: int
    network: nn.Module
    watched: Watched
    scores: Float[Tensor, "question row ..."]
    values: dict[Site, Float[Tensor, "question ... _unit"]]
    at_span: dict[Site, Float[Tensor, "question row _unit"]]

    def attention(self, layer: int) -> Float[Tensor, "question head query key"]:
        """A layer's attention, from its queries and keys; zero towards padding.

        Computed at every call: kept for all layers, it would be by far the largest thing in memory.
        """
        return attention_of(self.network, layer, self.values, self.watched.mask)


def forward_watched(
    network: nn.Module,
    watched: Watched,
    step: int,
    sites: Iterable[Site] = (),
    span_sites: Iterable[Site] = (),
) -> Forward:
    """Run the watched examples in eval mode, in float32, without gradients, on random state of its own.

    Not compiled, so that a compiled network stays as it is. Modes and hooks are afterwards as before, even
    if the network raises.
    """
    device = next(network.parameters()).device
    # Of questions; recorders of `span_sites` refuse other tasks.
    spans = watched.outputs.true.to(device)
    questions = torch.arange(len(spans), device=device)[:, None]

    def at_spans(value: Tensor) -> Tensor:
        return _to_cpu(value[questions, spans])

    whole = {site: HookPoint(*module_of(network, site), _to_cpu) for site in sites}
    partial = {site: HookPoint(*module_of(network, site), at_spans) for site in span_sites}
    with torch.no_grad(), tap(whole) as values, tap(partial) as at_span:
        scores = _to_cpu(scores_of(network, watched))
    return Forward(step, network, watched, scores, values, at_span)


def scores_of(network: nn.Module, watched: Watched) -> Float[Tensor, "question row ..."]:
    """What the network puts out of the watched examples, as `forward_watched` runs it, with gradients."""
    device = next(network.parameters()).device
    names = input_names(network)
    inputs = {n: t.to(device) for n, t in watched.inputs.items() if n in names}
    modes = [(module, module.training) for module in network.modules()]
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.autocast(device.type, enabled=False),
    ):
        try:
            network.eval()
            return watched.outputs.read(network.forward(**inputs))
        finally:
            for module, mode in modes:
                module.training = mode


def _to_cpu(value: Tensor) -> Tensor:
    return value.detach().float().cpu()


def attention_of(
    network: nn.Module,
    layer: int,
    values: Mapping[Site, Float[Tensor, "question token unit"]],
    mask: Bool[Tensor, "question token"],
) -> Float[Tensor, "question head query key"]:
    """A layer's attention from the `values` of its `Anatomy.attention_sites`; zero towards padding."""
    anatomy = Anatomy(network)
    heads, sites = anatomy.heads, anatomy.attention_sites(layer)
    if len(sites) == 2:
        query, key = (values[site] for site in sites)
        if anatomy.places is not None and anatomy.places.attends is not None:
            return anatomy.places.attends(layer, query, key, mask)
        return attention_weights(query, key, mask, heads)
    config: Any = network.config
    joint = values[sites[0]].float()
    query, key = _rotated(network, layer, joint, heads)
    reach = None
    if config.layer_types[layer] == "sliding_attention":
        reach = int(config.sliding_window)
    return attention_weights(query, key, mask, heads, reach)


def _rotated(
    network: nn.Module, layer: int, joint: Float[Tensor, "question token unit3"], heads: int
) -> tuple[Float[Tensor, "question token unit"], Float[Tensor, "question token unit"]]:
    """Queries and keys of ModernBERT, turned by their positions as the network turns them."""
    count, tokens, width = joint.shape
    query, key, _ = joint.view(count, tokens, 3, heads, width // (3 * heads)).unbind(dim=2)
    device = next(network.parameters()).device
    positions = torch.arange(tokens, device=device)[None]
    rotary = network.get_submodule("model.rotary_emb")
    config: Any = network.config
    angles = rotary(joint.to(device), positions, config.layer_types[layer])
    cos, sin = (part.to(joint.device) for part in angles)
    turned = apply_rotary_pos_emb(query, key, cos, sin, unsqueeze_dim=2)
    query, key = (part.reshape(count, tokens, width // 3) for part in turned)
    return query, key


def attention_weights(
    query: Float[Tensor, "question token unit"],
    key: Float[Tensor, "question token unit"],
    mask: Bool[Tensor, "question token"],
    heads: int,
    reach: int | None = None,
) -> Float[Tensor, "question head token token"]:
    """softmax(QK^T / sqrt(d) + mask) of each head, without dropout; equal to eager attention to 1e-5.

    SDPA, which trains, returns no weights, so they are recomputed. Example with one head of d = 4: a query
    [2, 0, 0, 0] scores [2, 0, 0, 0] 2 * 2 / sqrt(4) = 2, and [0, 1, 0, 0] 0; padding scores -inf. Its
    attention to the three is softmax(2, 0, -inf) = 0.88, 0.12, 0.

    `reach`: how far a token sees in both directions (None: everywhere). Padding that sees no token at all
    has zeros.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.
    """
    count, tokens, width = query.shape
    # The heads are next to each other along the units: 768 = 12 heads of d = 64.
    size = width // heads
    queries = query.float().view(count, tokens, heads, size).transpose(1, 2)
    keys = key.float().view(count, tokens, heads, size).transpose(1, 2)
    seen = mask[:, None, None, :]
    if reach is not None:
        seen = seen & local(tokens, reach).to(seen.device)
    return attention_of_scores(scores(queries, keys), seen)


@contextmanager
def changed(
    network: nn.Module, changes: Mapping[Site, Callable[[Tensor], Tensor]]
) -> Iterator[None]:
    """While it lasts, what passes each site is what its change makes of it.

    Hooks change what passes; the network itself is not changed. No hook remains afterwards, even if the
    network raises.

    Raises:
        ValueError: a site that the network does not have.
    """
    with ExitStack() as hooks:
        for site, change in changes.items():
            hooks.callback(_register_change(*module_of(network, site), change).remove)
        yield


def _register_change(
    module: nn.Module, side: Side, change: Callable[[Tensor], Tensor]
) -> RemovableHandle:
    if side == "input":
        return module.register_forward_pre_hook(lambda _, given: (change(given[0]), *given[1:]))

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    return module.register_forward_hook(after)


@contextmanager
def beginning_at(network: nn.Module, layer: int, read: Tensor) -> Iterator[None]:
    """While it lasts, a layer of one of Hugging Face's networks reads `read`, and those below hardly compute.

    `read`: what the layer has read of the same examples, as `read_by_layers` has it. What changes from this
    layer on only is so computed in less time, and equal to the last bit. Hooks give the layers below a batch
    of one example (of none, they could not tell the shapes of their heads).
    """
    examples = len(read)

    def of_one(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(of_one, value))
        is_of_batch = isinstance(value, Tensor) and value.shape[:1] == (examples,)
        return value[:1] if is_of_batch else value

    def with_one(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return of_one(given), {name: of_one(value) for name, value in named.items()}

    with ExitStack() as hooks:
        layers = _layers(network)
        for module in layers[:layer]:
            hooks.callback(module.register_forward_pre_hook(with_one, with_kwargs=True).remove)
        reading = layers[layer].register_forward_pre_hook(lambda _, given: (read, *given[1:]))
        hooks.callback(reading.remove)
        yield


@contextmanager
def read_by_layers(network: nn.Module) -> Iterator[dict[int, Tensor]]:
    """A dict that fills with what each layer reads while the network runs; see `tap`."""
    points = {n: HookPoint(module, "input") for n, module in enumerate(_layers(network))}
    with tap(points) as found:
        yield found


def _layers(network: nn.Module) -> list[nn.Module]:
    anatomy = Anatomy(network)
    return [network.get_submodule(f"{anatomy.stem}.{n}") for n in range(anatomy.layers)]


@contextmanager
def silenced(network: nn.Module, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """While it lasts, the given (layer, head) contribute nothing: their part of the context is zero.

    Raises:
        ValueError: a head that the network does not have, or a network of an unknown type.
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
        factor = torch.ones(anatomy.heads, size)
        factor[silent] = 0.0
        flat = factor.flatten()
        return lambda context: context * flat.to(context)

    without_heads = {Site("context", layer): without(silent) for layer, silent in by_layer.items()}
    with changed(network, without_heads):
        yield
