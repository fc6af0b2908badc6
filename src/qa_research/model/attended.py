"""Attention written out, as a textbook has it, and the masks that say who may see whom.

Networks compute it by faster kernels; this is what they compute, and tests hold it against them.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def attended(
    query: Float[Tensor, "*batch query unit"],
    key: Float[Tensor, "*batch key unit"],
    value: Float[Tensor, "*batch key out"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
    softmax: bool = True,
) -> Float[Tensor, "*batch query out"]:
    """What each query gets: a sum of all values, each weighted by how well its key fits the query.

    Scores are the products of queries and keys, divided by the square root of the unit count; a softmax over
    the keys makes them weights that sum to 1. `mask`: True where a query may see a key; a query that sees
    none gets zeros. `softmax=False`: the products themselves are the weights, and are not divided.

    Example without softmax: the queries 0001 and 1100, the keys 0010 and 0011 with the values 1010 and 0101.
    The first query has a 1 in common with the second key only, so it gets 0 x 1010 + 1 x 0101 = 0101. The
    second one has none with either, so it gets 0000. With a softmax the first would get 0.38 x 1010 +
    0.62 x 0101 (of the scores 0 and 1 / sqrt(4)), and the second the mean of both values.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.
    """
    return attention_of_scores(scores(query, key, scaled=softmax), mask, softmax) @ value


def scores(
    query: Float[Tensor, "*batch query unit"],
    key: Float[Tensor, "*batch key unit"],
    scaled: bool = True,
) -> Float[Tensor, "*batch query key"]:
    """The product of each query with each key; `scaled`: divided by the square root of the unit count.

    Products of longer vectors spread wider, and the softmax of widely spread scores is all but 0 and 1.
    """
    products = query @ key.transpose(-2, -1)
    return products * query.shape[-1] ** -0.5 if scaled else products


def attention_of_scores(
    scores: Float[Tensor, "*batch query key"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
    softmax: bool = True,
) -> Float[Tensor, "*batch query key"]:
    """The weight of each key for each query: 0 where `mask` is False, and in rows that see no key at all."""
    if not softmax:
        return scores if mask is None else scores.masked_fill(~mask, 0.0)
    if mask is None:
        return scores.softmax(dim=-1)
    weights: Tensor = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    # The softmax of nothing but -inf is nan.
    return weights.masked_fill(~mask, 0.0)


def padding(lengths: Int[Tensor, " example"], tokens: int) -> Bool[Tensor, "example 1 token"]:
    """Who sees whom where examples are padded to so many tokens: everyone the first `lengths` ones."""
    return (torch.arange(tokens, device=lengths.device) < lengths[:, None])[:, None, :]


def causal(tokens: int) -> Bool[Tensor, "query key"]:
    """Each token sees itself and those before it: what comes next is to be predicted and may not be seen."""
    return torch.ones(tokens, tokens, dtype=torch.bool).tril()


def local(tokens: int, reach: int) -> Bool[Tensor, "query key"]:
    """Each token sees itself and `reach` neighbours on either side."""
    return _distances(tokens).abs() <= reach


def strided(tokens: int, stride: int) -> Bool[Tensor, "query key"]:
    """Each token sees itself and every `stride`-th one before and after it.

    With `local(tokens, stride - 1)`, in the same layer or the next one, two steps lead everywhere: from i by
    a multiple of the stride to a token near j, and from there to j.

    Source: Child et al. 2019, Generating Long Sequences with Sparse Transformers, section 4.
    """
    return _distances(tokens) % stride == 0


def _distances(tokens: int) -> Int[Tensor, "query key"]:
    position = torch.arange(tokens)
    return position - position[:, None]
