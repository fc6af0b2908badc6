"""What was found out about training examples and the questions they helped, and how it is asked for."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.interventions.choosing import places_of
from qa_research.interventions.influence.judging import Judged
from qa_research.interventions.influence.measuring import GRADIENTS, TEXT, Asked, Scores
from qa_research.stats import rank_correlation
from qa_research.streams import stream
from qa_research.tasks.opened import Opened, OwnExamples


@dataclass(frozen=True)
class Request:
    """`questions`: ids, or how many are drawn with `seed` of those that chose nothing. `examples`: training
    examples, in the same way; None: all. `max_minutes`: what the scores may take. `top`: how many are listed.
    """

    questions: int | tuple[str, ...]
    examples: int | tuple[str, ...] | None
    max_minutes: float
    top: int
    seed: int


@dataclass(frozen=True)
class Listed:
    """A training example, what it did for a question by its gradients, and how alike their texts are."""

    id: str
    text: str
    kind: str
    score: float
    alike: float


@dataclass(frozen=True)
class OfQuestion:
    """A question with the training examples that helped it most, and those that harmed it most."""

    id: str
    text: str
    kind: str
    helped: tuple[Listed, ...]
    harmed: tuple[Listed, ...]


@dataclass(frozen=True)
class Truth:
    """Trainings of the same steps without random halves of the examples, and how well methods predict them.

    `losses` [training question]: at the last step; `without`: the ids that each training left out. `chance`:
    between which ends 95 % of random scores are judged. `spread`: the standard deviation of a question's loss
    over the trainings, as the mean over questions. `exact`: whether the training as it was gave the weights
    that its run has kept; `compared`: of how many states.
    """

    trainings: int
    first: int
    until: int
    left_out: int
    losses: tuple[tuple[float, ...], ...]
    without: tuple[tuple[str, ...], ...]
    judged: tuple[Judged, ...]
    chance: tuple[float, float]
    spread: float
    exact: bool
    compared: int


@dataclass(frozen=True)
class Influence:
    """`steps`: at which gradients were taken; `agreement`: of two methods, the mean over questions of
    Spearman's correlation over examples, NaN if one orders none. `scores` [question example]: of each.
    """

    run: str
    examples: str
    steps: tuple[int, ...]
    question_ids: tuple[str, ...]
    example_ids: tuple[str, ...]
    scores: Scores
    questions: tuple[OfQuestion, ...]
    agreement: dict[str, dict[str, float]]
    truth: Truth | None
    seconds: float
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values, with all scores."""
        values = asdict(self)
        values["scores"] = {name: own.tolist() for name, own in self.scores.items()}
        values["agreement"] = {
            one: {other: value if np.isfinite(value) else None for other, value in own.items()}
            for one, own in self.agreement.items()
        }
        return values


def drawn_questions(own: OwnExamples[Any], request: Request) -> tuple[list[Any], list[str]]:
    """The questions that are asked about, and notes on them.

    Raises:
        ValueError: an id is none of the run's own examples'.
    """
    if isinstance(request.questions, int):
        rows, note = own.drawn(request.questions, stream(request.seed, "influence-questions"))
        return rows, [note] if note else []
    return [own.by_id(one, "--questions") for one in request.questions], []


def drawn_examples(
    own: OwnExamples[Any], request: Request, among: Sequence[str] | None = None
) -> list[Any]:
    """The training examples that are scored, in the order of the data; `among`: of these ids only.

    Raises:
        ValueError: an id is not one of them.
    """
    known, told = None if among is None else set(among), own.opened.told
    rows = [row for row in own.train.rows if known is None or told(row).id in known]
    what = f"training {own.opened.examples}{'' if known is None else ' of these steps'}"
    rng = stream(request.seed, "influence-examples")
    ids = [told(row).id for row in rows]
    return [rows[place] for place in places_of(request.examples, ids, rng, "--examples", what)]


def influence_found(
    opened: Opened[Any],
    steps: Sequence[int],
    asked: tuple[Sequence[Asked], Sequence[Asked]],
    scores: Scores,
    top: int,
    truth: Truth | None,
    seconds: float,
    notes: Sequence[str],
) -> Influence:
    """What there is to tell of scores."""
    questions, examples = asked
    return Influence(
        run=opened.name,
        examples=opened.examples,
        steps=tuple(steps),
        question_ids=tuple(one.id for one in questions),
        example_ids=tuple(one.id for one in examples),
        scores=scores,
        questions=tuple(
            _of_question(one, examples, scores[GRADIENTS][place], scores[TEXT][place], top)
            for place, one in enumerate(questions)
        ),
        agreement=_agreement(scores),
        truth=truth,
        seconds=seconds,
        notes=tuple(notes),
    )


def _of_question(
    question: Asked, examples: Sequence[Asked], scores: ndarray, alike: ndarray, top: int
) -> OfQuestion:
    order = np.argsort(-scores, kind="stable").tolist()

    def listed(places: Sequence[int]) -> tuple[Listed, ...]:
        return tuple(
            Listed(
                examples[i].id,
                examples[i].text,
                examples[i].kind,
                float(scores[i]),
                float(alike[i]),
            )
            for i in places
        )

    helped = [place for place in order[:top] if scores[place] > 0]
    harmed = [place for place in order[::-1][:top] if scores[place] < 0]
    return OfQuestion(question.id, question.text, question.kind, listed(helped), listed(harmed))


def _agreement(scores: Scores) -> dict[str, dict[str, float]]:
    return {
        one: {other: _mean_correlation(scores[one], scores[other]) for other in scores}
        for one in scores
    }


def _mean_correlation(
    one: Float[ndarray, "question example"], other: Float[ndarray, "question example"]
) -> float:
    """Over the questions for which both order the examples; NaN if there is none."""
    found = [rank_correlation(a, b) for a, b in zip(one, other, strict=True)]
    known = [value for value in found if np.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
