"""Integrated gradients and word erasure: two attributions of a span's logits to the words of its text."""

import numpy as np
import torch
from captum.attr import FeatureAblation, LayerIntegratedGradients
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from qa_research.explain.words.reader import Reader
from qa_research.explain.words.result import (
    LARGEST_ERROR,
    ErasureValues,
    GradientValues,
    all_rounded,
)
from qa_research.tasks.watching import NO_WORD

FIRST_STEPS = 20
# Gauss-Legendre converges quickly or, along a path with kinks, hardly at all.
MOST_STEPS = 320


def integrated_gradients(reader: Reader, most_steps: int = MOST_STEPS) -> GradientValues:
    """Integrated gradients of the start and the end logit and of their sum, by word.

    Along the straight line in the input embeddings from the text with all units off to the text as it
    is; a word's value is the sum over its tokens and all embedding dimensions. Steps are doubled from
    FIRST_STEPS until every error is at most LARGEST_ERROR, or `most_steps` are reached.

    Source: Sundararajan, Taly, Yan 2017, Axiomatic Attribution for Deep Networks, section 3 and 5.
    """
    # Completeness: the values of all words must sum to the logit of the text minus the logit with all
    # words off. With a start logit of 5.2 for the text and 0.2 without its words, values of 3.1, 1.2
    # and 0.5 sum to 4.8 where 5.0 is due: an error of 4 %, which passes. More steps follow the path
    # more closely and shrink it.
    with torch.inference_mode():
        ends = torch.cat([reader.at_span(reader.full_ids), reader.at_span(reader.blank_ids)])
    change = _with_sum((ends[0] - ends[1]).double().cpu().numpy())
    steps = min(FIRST_STEPS, most_steps)
    while True:
        values = _integrated(reader, steps)
        error = share_missing(values, change)
        if (error <= LARGEST_ERROR).all() or steps == most_steps:
            return GradientValues(
                **reader.by_word(values), steps=steps, error=all_rounded(error), shuffles=0
            )
        steps = min(2 * steps, most_steps)


def word_erasure(reader: Reader) -> ErasureValues:
    """How much the start logit, the end logit and their sum fall when that one word is switched off.

    Source: Li, Monroe, Jurafsky 2016, Understanding Neural Networks through Representation Erasure.
    """
    # Group 0 is special tokens and words that stay, for which "off" changes nothing.
    groups = (reader.unit_of - NO_WORD).to(reader.network.device)
    found = FeatureAblation(reader.at_span).attribute(
        reader.full_ids,
        baselines=reader.blank_ids,
        feature_mask=groups[None],
        perturbations_per_eval=reader.batch_size,
    )
    # captum gives each token its group's value, so a unit's first token has it.
    by_token = found.double().cpu().numpy()
    values = _with_sum(by_token[:, [tokens[0] for tokens in _tokens_of(reader)]])
    return ErasureValues(**reader.by_word(values))


def _integrated(reader: Reader, steps: int) -> Float[ndarray, "output unit"]:
    embeddings = reader.network.get_input_embeddings()
    method = LayerIntegratedGradients(reader.at_span, embeddings)
    rows = []
    for row in range(2):
        found = method.attribute(
            reader.full_ids,
            baselines=reader.blank_ids,
            target=row,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=reader.batch_size,
        )
        assert isinstance(found, Tensor)
        rows.append(found.sum(dim=2)[0].detach())
    by_token = torch.stack(rows).double().cpu().numpy()
    # "unbelievable" in three tokens of 0.2, 0.5 and 0.1 has the value 0.8.
    units = [by_token[:, tokens].sum(axis=1) for tokens in _tokens_of(reader)]
    return _with_sum(np.stack(units, axis=1))


def _tokens_of(reader: Reader) -> list[list[int]]:
    """By unit its tokens."""
    words = (reader.text.words[number] for number in reader.units)
    return [list(range(word.first_token, word.last_token + 1)) for word in words]


def _with_sum(rows: Float[ndarray, "row ..."]) -> Float[ndarray, "output ..."]:
    """Start and end, and their sum: all of these methods are linear in the output."""
    return np.concatenate([rows, rows.sum(axis=0, keepdims=True)])


def share_missing(
    values: Float[ndarray, "output unit"], change: Float[ndarray, " output"]
) -> Float[ndarray, " output"]:
    """By output, which share of the change between both ends the values of all units lack."""
    missing = np.abs(values.sum(axis=1) - change)
    # Where both ends are equal there is no share: nothing may be missing then.
    none = np.where(missing == 0, 0.0, np.inf)
    return np.asarray(np.divide(missing, np.abs(change), out=none, where=change != 0))
