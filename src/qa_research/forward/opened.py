"""The opened forward pass: one example on its way through an unmodified network, stage by stage.

What is shown is what the network computed: hooks read its tensors while it runs, and the task says what comes
before and after.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qa_research.capture.forward import Forward, HookPoint, forward_watched, tap
from qa_research.capture.sites import FINAL, Anatomy, Site, module_of, output_layer
from qa_research.model.one_number import NumberNetwork
from qa_research.tasks.opened import Opened
from qa_research.tasks.stages import Passing, Stage, Table
from qa_research.tasks.watching import Watched

# Of each vector the first numbers are shown.
SHOWN = 3
# So many tokens or fewer are all shown.
MOST_TOKENS = 20
# What is shown inside a layer, in the order in which it is computed, as far as the network has it.
_INSIDE = {
    "query": "queries of all heads",
    "key": "keys of all heads",
    "query_key_value": "queries, keys and values of all heads",
    "context": "sums of values, weighted by attention",
    "attention_output": "after attention, with what went in",
    "mlp": "output of the feed-forward network",
    "layer_output": "with what went into it: the layer's output",
}
# What the name of each layer's weights ends in.
ATTENTION = ": attention"
# What a network that halts is asked for besides: how often each token was updated.
STEPS = "steps"
COLUMNS = ("tensor", "shape", "first numbers", "what it is", "where")


@dataclass(frozen=True)
class Pass:
    """One example, opened. `run`: what it passed. `tensors`: what the stages show numbers of, by name.

    `watched`: the example as a batch of one.
    """

    run: str
    stages: tuple[Stage, ...]
    tensors: dict[str, Tensor]
    watched: Watched

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        return {"run": self.run, "stages": [stage.as_json() for stage in self.stages]}


def opened_pass(opened: Opened[Any], row: Any, n_best: int = 5) -> Pass:
    """Run one example, such as a question, through a trained network, and tell its stages.

    `n_best`: so many candidates are shown at most.

    Raises:
        ValueError: the task cannot be looked into, or its network's outputs are not made by a linear layer.
    """
    network, passing = opened.network, opened.passing(row, n_best)
    anatomy, note = _anatomy(network)
    sites = list(_sites(anatomy)) if anatomy else []
    tables = _lookups(anatomy)
    modules = {module: name for name, module in network.named_modules()}
    points = {modules[module]: HookPoint(module, "output", _to_cpu) for module in tables}
    made = {"logits": HookPoint(output_layer(network), "output", _to_cpu)}
    with tap(points) as looked_up, tap(made) as logits:
        forward = forward_watched(network, passing.watched, opened.step or 0, [*sites, FINAL])
    tensors = dict(looked_up) | {_name(site): value for site, value in forward.values.items()}
    rows = _looked_up(looked_up, passing)
    if anatomy:
        for row, weights in _inside(forward, anatomy, sites, passing, modules):
            rows.append(row)
            if weights is not None:
                tensors[row[0]] = weights
    rows += _read_by_head(forward, modules)
    sentences, tables_of_model = list(_about(network, passing, note)), [_table(rows)]
    halting = network.halting if isinstance(network, NumberNetwork) else None
    if halting is not None and halting.steps is not None:
        tensors[STEPS] = _to_cpu(halting.steps)
        told, table = _halted(tensors[STEPS][0], passing)
        sentences.append(told)
        tables_of_model.append(table)
    stages = [
        passing.preprocess,
        _tokenize(passing),
        Stage("model", "ids -> hidden states", tuple(sentences), tuple(tables_of_model)),
        _head(forward, logits["logits"][0], passing, modules),
        *passing.finish(forward.scores[0]),
    ]
    return Pass(f"{opened.name}, {opened.label}", tuple(stages), tensors, passing.watched)


def _halted(steps: Tensor, passing: Passing) -> tuple[str, Table]:
    """How often each token was updated before it halted: the means in a sentence, and a table of all."""
    watched = passing.watched
    example = watched.examples[0]
    told = f"Its layer was applied to each token until that halted: {steps.mean():.2f} times on average"
    if marked := list(example.marked):
        others = np.delete(steps.numpy(), marked)
        told += f", {steps[marked].mean():.2f} to {watched.marked_as} tokens"
        told += f" and {others.mean():.2f} to the others" if len(others) else ""
    rows = tuple(zip(range(len(steps)), example.tokens, steps.int().tolist(), strict=True))
    return f"{told}.", Table(("number", "token", STEPS), rows, _around(passing, len(rows)))


def _looked_up(found: Mapping[str, Tensor], passing: Passing) -> list[tuple[Any, ...]]:
    """A row for what each table has of the tokens, by the name of its module."""
    what = "a row of a table for each token"
    return [
        (
            name.rpartition(".")[2].replace("_", " "),
            list(value.shape),
            _numbers(value, passing),
            what,
            f"output of {name}",
        )
        for name, value in found.items()
    ]


def _read_by_head(forward: Forward, modules: Mapping[nn.Module, str]) -> list[tuple[Any, ...]]:
    """A row for what the head reads, where that is one vector of the example and no layer's output."""
    final = forward.values[FINAL]
    if final.ndim > 2:
        return []
    where = f"input of {modules[output_layer(forward.network)]}"
    numbers = tuple(final[0, :SHOWN].tolist())
    return [("final", list(final.shape), numbers, "one vector, which the head reads", where)]


def _to_cpu(value: Tensor) -> Tensor:
    return value.detach().float().cpu()


def _anatomy(network: nn.Module) -> tuple[Anatomy | None, str]:
    """The layers of a network; or None, and why nothing is shown of them."""
    try:
        return Anatomy(network), ""
    except ValueError:
        return None, (
            f"What is inside a network of the class {type(network).__name__} is not shown: where it computes "
            "what is not known."
        )


def _sites(anatomy: Anatomy) -> Iterator[Site]:
    """All of the first layer; of the others what attention is recomputed from, and the output."""
    yield Site("embeddings")
    for layer in range(anatomy.layers):
        needed = {site.name for site in anatomy.attention_sites(layer)} if anatomy.heads else set()
        for name in _INSIDE:
            if name in anatomy.sites and (not layer or name in needed | {"layer_output"}):
                yield Site(name, layer)


def _lookups(anatomy: Anatomy | None) -> list[nn.Embedding]:
    """The tables in which the embeddings look up rows: of pieces, of positions, of token types."""
    if anatomy is None:
        return []
    module, _ = anatomy.module(Site("embeddings"))
    return [part for part in module.modules() if isinstance(part, nn.Embedding)]


def _name(site: Site) -> str:
    name = site.name.replace("_", " ")
    return name if site.layer is None else f"layer {site.layer}: {name.removeprefix('layer ')}"


def _inside(
    forward: Forward,
    anatomy: Anatomy,
    sites: list[Site],
    passing: Passing,
    modules: dict[nn.Module, str],
) -> Iterator[tuple[tuple[Any, ...], Tensor | None]]:
    """A row for each tensor, and the attention weights where it is one of these."""
    for site in sites:
        value = forward.values[site]
        module, side = module_of(forward.network, site)
        is_shown = site.name in ("embeddings", "layer_output") or site.layer == 0
        what = _INSIDE.get(site.name, "what the first layer reads")
        if is_shown:
            place = f"{side} of {modules[module]}"
            yield (_name(site), list(value.shape), _numbers(value, passing), what, place), None
        if anatomy.heads and site == anatomy.attention_sites(site.layer or 0)[-1]:
            yield _attention(forward, site.layer or 0, passing)


def _attention(
    forward: Forward, layer: int, passing: Passing
) -> tuple[tuple[Any, ...], Tensor | None]:
    weights = forward.attention(layer)
    own = weights[0, :, _place(passing)]
    head, key = divmod(int(own.argmax()), own.shape[1])
    token = passing.watched.examples[0].tokens[key]
    what = f"most is {own[head, key]:.3f}, in head {head}, to token {key} ({token})"
    name, numbers = f"layer {layer}{ATTENTION}", tuple(own[0, :SHOWN].tolist())
    return (name, list(weights.shape), numbers, what, "from queries and keys"), weights


def _place(passing: Passing) -> int:
    """The token whose hidden states are shown."""
    return passing.places[0] if passing.places else 0


def _numbers(value: Tensor, passing: Passing) -> tuple[float, ...]:
    """The first numbers of a vector: of the shown token, or of the only one of an example."""
    if value.ndim == 2:
        # [example unit], or [token unit] of positions, which are the same for all examples.
        is_by_token = len(value) > 1
        return tuple(value[_place(passing) if is_by_token else 0, :SHOWN].tolist())
    row: Tensor = value[0, _place(passing)]
    return tuple(row[:SHOWN].tolist())


def _table(rows: list[tuple[Any, ...]]) -> Table:
    return Table(COLUMNS, tuple(rows), unshown=("where",))


def _about(network: nn.Module, passing: Passing, note: str) -> tuple[str, ...]:
    """What is looked into, and at which token."""
    size = sum(parameter.numel() for parameter in network.parameters())
    place = _place(passing)
    tokens = passing.watched.examples[0].tokens
    shown = f"{type(network).__name__}, {size:,} parameters."
    if note:
        return (shown, note)
    return (
        f"{shown} Numbers are the first {SHOWN} at token {place} ({tokens[place]}); of attention, those of "
        "head 0 from this token to the first ones.",
    )


def _tokenize(passing: Passing) -> Stage:
    """The network's inputs: those with a value for each token by token, others by their shape."""
    watched, example = passing.watched, passing.watched.examples[0]
    # Ids come first, as they are what the tokens become.
    names = sorted(watched.inputs, key=lambda name: name != "input_ids")
    by_token = {
        name: watched.inputs[name][0].tolist() for name in names if watched.inputs[name].ndim == 2
    }
    rows = [
        (i, token, *(values[i] for values in by_token.values()), example.parts[i], _chars(chars))
        for i, (token, chars) in enumerate(zip(example.tokens, example.chars, strict=True))
    ]
    shapes = [
        f"{name} {list(watched.inputs[name].shape)} "
        f"{str(watched.inputs[name].dtype).removeprefix('torch.')}"
        for name in names
    ]
    columns = ("number", "token", *by_token, "part", "characters")
    told = _around(passing, len(rows))
    return Stage(
        "tokenize",
        "words -> tokens -> ids, mask",
        ("; ".join(shapes),),
        (Table(columns, tuple(rows), told),),
    )


def _said(scores: Tensor) -> str:
    return ", ".join(f"{score:.4f}" for score in scores.tolist())


def _chars(chars: tuple[int, int]) -> str:
    return f"{chars[0]}-{chars[1]}" if chars[0] < chars[1] else ""


def _around(passing: Passing, count: int) -> frozenset[int]:
    """The tokens that a table is cut down to: the first ones, those around the shown ones, the last one."""
    if count <= MOST_TOKENS:
        return frozenset()
    told = {*range(6), count - 1}
    for place in passing.places:
        told |= set(range(place - 3, place + 4))
    return frozenset(told & set(range(count)))


def _head(
    forward: Forward, logits: Tensor, passing: Passing, modules: dict[nn.Module, str]
) -> Stage:
    """The output layer, which made the `logits`: each is a sum of products and a bias."""
    head, hidden = output_layer(forward.network), forward.values[FINAL][0]
    weight = head.weight.detach().float().cpu()
    bias = torch.zeros(len(weight)) if head.bias is None else head.bias.detach().float().cpu()
    tokens, names = passing.watched.examples[0].tokens, passing.watched.outputs.rows
    scores, has_tokens = forward.scores[0], hidden.ndim == 2
    # If it reads each token and its network says one thing of all, its outputs are pooled afterwards.
    is_pooled = has_tokens and scores.ndim == 1
    rows = []
    for i, name in enumerate(() if is_pooled else names):
        place = passing.places[i] if has_tokens else 0
        vector, logit = (hidden[place], logits[place, i]) if has_tokens else (hidden, logits[i])
        where = f"{place} ({tokens[place]})" if has_tokens else "none: all of it"
        rows.append((name, where, float(weight[i] @ vector), float(bias[i]), float(logit)))
    sentence = (
        f"{modules[head]} is a linear layer, weights {list(weight.shape)} and biases {list(bias.shape)}: it "
        f"reads {[1, *hidden.shape]} and makes {[1, *hidden.shape[:-1], len(weight)]}. A logit is the sum "
        f"over {weight.shape[1]} units of weight x hidden value, plus the bias."
    )
    if is_pooled or (not has_tokens and not torch.equal(logits, scores)):
        # Pooled over the tokens, or brought to the scale of the data.
        sentence += (
            f" Of {'those of all tokens' if is_pooled else 'it'} the network makes {_said(scores)}."
        )
    tables = [Table(("score", "token", "sum of products", "bias", "logit"), tuple(rows))]
    if has_tokens and not is_pooled:
        each = [(i, token, *scores[:, i].tolist()) for i, token in enumerate(tokens)]
        telling = _around(passing, len(each))
        tables.append(Table(("number", "token", *names), tuple(each), telling))
    return Stage("head", "hidden states -> logits", (sentence,), tuple(tables))
