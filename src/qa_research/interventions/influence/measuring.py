"""Scores of training examples for questions: what each did for the answer, by several methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from qa_research.capture.forward import forward_watched
from qa_research.capture.sites import FINAL
from qa_research.console import tracked
from qa_research.interventions.influence.gradients import Sketch, cosines
from qa_research.interventions.influence.similar import text_scores, words_of
from qa_research.tasks.opened import Opened
from qa_research.tasks.watching import Watched, losses_of

# The dot product of gradients times the learning rate (TracIn), the cosine of gradients, the cosine of the
# representations that the head reads, and BM25 of the texts.
GRADIENTS, COSINE, REPRESENTATION, TEXT = "gradients", "gradient cosine", "representation", "text"
Scores = dict[str, Float[ndarray, "question example"]]


@dataclass(frozen=True)
class Asked:
    """An example in words, and as a batch of its own."""

    id: str
    text: str
    kind: str
    watched: Watched


def asked_of(opened: Opened[Any], rows: Sequence[Any]) -> list[Asked]:
    """Examples, ready to be measured.

    Raises:
        ValueError: this task cannot be looked into.
    """
    found = []
    for row in rows:
        told = opened.told(row)
        found.append(Asked(told.id, told.text, told.kind, opened.watched([row])))
    return found


class Measuring:
    """Adds up scores over the states of a training.

    A high score says that training on the example lowers the question's loss. Of gradients: the sum over
    states of the learning rate times the dot product of the two gradients. What is a cosine is the mean over
    states. Source: Pruthi et al. 2020, Estimating training data influence by tracing gradient descent, 3.2.
    """

    def __init__(
        self, questions: Sequence[Asked], examples: Sequence[Asked], sketch: Sketch
    ) -> None:
        self.questions, self.examples, self.sketch = questions, examples, sketch
        shape = (len(questions), len(examples))
        self.sums = {name: np.zeros(shape) for name in (GRADIENTS, COSINE, REPRESENTATION)}
        self.states = 0
        texts = [[words_of(one.watched) for one in own] for own in (questions, examples)]
        self.alike = text_scores(*texts)

    def add(self, network: nn.Module, rate: float, only: set[str] | None) -> None:
        """Add a state's scores. `rate`: the learning rate there; `only`: of these parameters (None: all)."""
        asked, trained = (
            self._of_all(network, some, only) for some in (self.questions, self.examples)
        )
        self.sums[GRADIENTS] += rate * (asked[0] @ trained[0].T)
        self.sums[COSINE] += cosines(asked[0], trained[0])
        self.sums[REPRESENTATION] += cosines(asked[1], trained[1])
        self.states += 1

    def _of_all(
        self, network: nn.Module, asked: Sequence[Asked], only: set[str] | None
    ) -> tuple[Float[ndarray, "example place"], Float[ndarray, "example unit"]]:
        """The gradients of some examples, and what the head reads of them."""
        gradients, read = [], []
        for one in tracked(asked, "Gradients"):
            gradients.append(self.sketch(network, one.watched, only))
            read.append(representation(network, one.watched))
        return np.stack(gradients), np.stack(read)

    def scores(self) -> Scores:
        """Of all methods."""
        return {
            GRADIENTS: self.sums[GRADIENTS],
            **{name: self.sums[name] / self.states for name in (COSINE, REPRESENTATION)},
            TEXT: self.alike,
        }


def losses_now(network: nn.Module, asked: Sequence[Asked]) -> Float[ndarray, " question"]:
    """The loss of each question, as the network is."""
    found = [
        losses_of(forward_watched(network, one.watched, 0).scores, one.watched) for one in asked
    ]
    return torch.cat(found).numpy().astype(np.float64)


def representation(network: nn.Module, watched: Watched) -> Float[ndarray, " unit"]:
    """What the head reads of one example, as the mean over its tokens."""
    values = forward_watched(network, watched, 0, [FINAL]).values[FINAL][0]
    if values.ndim == 2:
        values = values[watched.mask[0]].mean(dim=0)
    return values.numpy().astype(np.float64)
