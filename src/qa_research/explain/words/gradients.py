"""Integrated gradients and word erasure: two attributions of a span's logits to the words of its text."""

from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import FeatureAblation, LayerIntegratedGradients
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from qa_research.explain.words.reader import Reader
from qa_research.explain.words.text import NO_WORD

FIRST_STEPS = 20
# Gauss-Legendre converges quickly or, along a path with kinks, hardly at all.
MOST_STEPS = 320
LARGEST_ERROR = 0.05


@dataclass(frozen=True)
class Gradients:
    """Integrated gradients by output (OUTPUTS) and unit, and how far their sum is from what it must be.

    `error`: |sum over units - difference of outputs| as a share of that difference, by output: the
    difference between the text as it is and with all units off.
    """

    values: Float[ndarray, "output unit"]
    steps: int
    error: Float[ndarray, " output"]

    @property
    def is_complete(self) -> bool:
        """Whether the sums are as exact as was asked for."""
        return bool((self.error <= LARGEST_ERROR).all())


def integrated_gradients(reader: Reader, most_steps: int = MOST_STEPS) -> Gradients:
    """Integrated gradients of the start and the end logit and of their sum, by unit.

    Along the straight line in the input embeddings from the text with all units off to the text as it
    is; a unit's value is the sum over its tokens and all embedding dimensions. Steps are doubled from
    FIRST_STEPS until every error is at most LARGEST_ERROR, or `most_steps` are reached.

    Source: Sundararajan, Taly, Yan 2017, Axiomatic Attribution for Deep Networks, section 3 and 5.
    """
    with torch.inference_mode():
        ends = torch.cat([reader.at_span(reader.whole), reader.at_span(reader.blank)])
    change = _with_sum((ends[0] - ends[1]).double().cpu().numpy())
    steps = FIRST_STEPS
    while True:
        values = _integrated(reader, min(steps, most_steps))
        error = _error(values, change)
        if (error <= LARGEST_ERROR).all() or steps >= most_steps:
            return Gradients(values, min(steps, most_steps), error)
        steps *= 2


def erased(reader: Reader) -> Float[ndarray, "output unit"]:
    """How much each output (OUTPUTS) falls when one unit alone is switched off.

    Source: Li, Monroe, Jurafsky 2016, Understanding Neural Networks through Representation Erasure.
    """
    # 0 is a group of its own: special tokens and words that stay, for which "off" changes nothing.
    groups = (reader.unit_of - NO_WORD).to(reader.network.device)
    found = FeatureAblation(reader.at_span).attribute(
        reader.whole,
        baselines=reader.blank,
        feature_mask=groups[None],
        perturbations_per_eval=reader.at_once,
    )
    return _with_sum(_by_unit(reader, found, first_only=True))


def _integrated(reader: Reader, steps: int) -> Float[ndarray, "output unit"]:
    embeddings = reader.network.get_input_embeddings()
    method = LayerIntegratedGradients(reader.at_span, embeddings)
    rows = []
    for row in range(2):
        found = method.attribute(
            reader.whole,
            baselines=reader.blank,
            target=row,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=reader.at_once,
        )
        assert isinstance(found, Tensor)
        rows.append(found.sum(dim=2)[0].detach())
    return _with_sum(_by_unit(reader, torch.stack(rows), first_only=False))


def _by_unit(
    reader: Reader, values: Float[Tensor, "row token"], first_only: bool
) -> Float[ndarray, "row unit"]:
    """Summed over each unit's tokens, or of its first token alone (where all have the unit's value)."""
    by_token = values.double().cpu().numpy()
    unit_of = reader.unit_of.numpy()
    found = np.zeros((len(by_token), len(reader.units)))
    for unit in range(len(reader.units)):
        tokens = np.flatnonzero(unit_of == unit)
        found[:, unit] = by_token[:, tokens[:1] if first_only else tokens].sum(axis=1)
    return found


def _with_sum(rows: Float[ndarray, "row ..."]) -> Float[ndarray, "output ..."]:
    """Start and end, and their sum: all of these methods are linear in the output."""
    return np.concatenate([rows, rows.sum(axis=0, keepdims=True)])


def _error(
    values: Float[ndarray, "output unit"], change: Float[ndarray, " output"]
) -> Float[ndarray, " output"]:
    missing = np.abs(values.sum(axis=1) - change)
    # Where both ends are equal there is no share: nothing may be missing then.
    none = np.where(missing == 0, 0.0, np.inf)
    return np.asarray(np.divide(missing, np.abs(change), out=none, where=change != 0))
