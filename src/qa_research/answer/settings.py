"""How logits become an answer: the settings that decoding needs, in training and afterwards."""

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """`abstain`: whether "no answer" is an answer (None: where a training question has none).

    `null_threshold`: the answer is empty where the [CLS] score exceeds the best span's by more than
    this, in logits.
    """

    max_answer_tokens: Annotated[int, Ge(1)]
    n_best: Annotated[int, Ge(1)]
    abstain: bool | None
    null_threshold: float

    @property
    def threshold(self) -> float | None:
        """The null threshold, or None where every question gets a span."""
        return self.null_threshold if self.abstain else None

    def resolved(self, has_unanswerable: bool) -> "AnswerSettings":
        """These settings with `abstain` decided."""
        return self if self.abstain is not None else replace(self, abstain=has_unanswerable)
