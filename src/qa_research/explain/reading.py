"""What a network says of one span while words of its text are on or off."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.answer.decode import span_scores
from qa_research.console import tracked
from qa_research.explain.text import Off, Text, ids_with, unit_of_token
from qa_research.model.bert import input_names
from qa_research.run.opened import MOST_TOKENS

# What is explained: the span's two logits, and their sum, the score that decides between spans.
OUTPUTS = ("start", "end", "span")


@dataclass(frozen=True)
class Target:
    """A span by its tokens, inclusive (0, 0 is "no answer"), and which spans it competes with.

    All spans of the window's context compete, of at most `max_answer_tokens` tokens, and "no answer"
    where `counts_null`.
    """

    first: int
    last: int
    max_answer_tokens: int
    counts_null: bool

    @property
    def is_null(self) -> bool:
        """Whether it is the span of "no answer"."""
        return self.last == 0


@dataclass(frozen=True)
class Said:
    """By text: the start logit at the span's first token and the end logit at its last, and its probability.

    `probability` is exp(start + end) as a share of all spans that compete in this window.
    """

    start: Float[ndarray, " text"]
    end: Float[ndarray, " text"]
    probability: Float[ndarray, " text"]

    @property
    def outputs(self) -> Float[ndarray, "output text"]:
        """In the order of OUTPUTS."""
        return np.stack([self.start, self.end, self.start + self.end])


@dataclass(frozen=True)
class Reader:
    """A network that reads one text with some of its `units` off. `units` are words, by number.

    All other words, and the special tokens, always stay on.
    """

    network: PreTrainedModel
    text: Text
    off: Off
    target: Target
    units: tuple[int, ...]

    @property
    def at_once(self) -> int:
        """How many texts make a batch."""
        return int(max(1, MOST_TOKENS[self.network.device.type] // self.text.n_tokens))

    @property
    def unit_of(self) -> Int[Tensor, " token"]:
        """By token the place of its word in `units`, or NO_WORD."""
        return unit_of_token(self.text, self.units)

    @property
    def whole(self) -> Int[Tensor, "one token"]:
        """The text as it is."""
        return self.text.inputs["input_ids"].to(self.network.device)

    @property
    def blank(self) -> Int[Tensor, "one token"]:
        """The text with all units off."""
        return self.ids(np.zeros((1, len(self.units)), dtype=bool))

    def ids(self, masks: Bool[ndarray, "mask unit"]) -> Int[Tensor, "mask token"]:
        """The text with the units off that are False."""
        unit_of = self.unit_of.to(self.network.device)
        return ids_with(self.whole[0], unit_of, self.off.token_id, masks)

    def logits(
        self, ids: Int[Tensor, "text token"]
    ) -> tuple[Float[Tensor, "text token"], Float[Tensor, "text token"]]:
        """Start and end logits of texts of this window's length; gradients flow where they are on."""
        device, names = self.network.device, input_names(self.network)
        beside = {
            name: values.to(device).expand(len(ids), -1)
            for name, values in self.text.inputs.items()
            if name in names and name != "input_ids"
        }
        output = self.network(input_ids=ids, **beside)
        return output.start_logits, output.end_logits

    def at_span(self, ids: Int[Tensor, "text token"]) -> Float[Tensor, "text row"]:
        """The start logit at the span's first token and the end logit at its last."""
        start, end = self.logits(ids)
        return torch.stack([start[:, self.target.first], end[:, self.target.last]], dim=1)

    def say(self, masks: Bool[ndarray, "mask unit"], what: str) -> Said:
        """What the network says to each mask, in batches; `what` names the work to whoever waits.

        Raises:
            ValueError: the logits are no finite numbers.
        """
        batches = [masks[i : i + self.at_once] for i in range(0, len(masks), self.at_once)]
        with torch.inference_mode():
            parts = list(self._batches(batches, what))
        start, end, probability = (
            torch.cat(column).cpu().numpy().astype(np.float64)
            for column in zip(*parts, strict=True)
        )
        if not (np.isfinite(start) & np.isfinite(end)).all():
            raise ValueError(
                "the network's logits are no finite numbers: there is nothing to explain"
            )
        return Said(start, end, probability)

    def _batches(
        self, batches: Sequence[Bool[ndarray, "mask unit"]], what: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for masks in tracked(batches, what):
            start, end = self.logits(self.ids(masks))
            first, last = start[:, self.target.first], end[:, self.target.last]
            yield first, last, (first + last - self._log_total(start, end)).double().exp()

    def _log_total(
        self, start: Float[Tensor, "text token"], end: Float[Tensor, "text token"]
    ) -> Float[Tensor, " text"]:
        allowed = self._allowed.to(start.device).expand(len(start), -1)
        scores = span_scores(start, end, allowed, self.target.max_answer_tokens).flatten(1)
        if self.target.counts_null or self.target.is_null:
            scores = torch.cat([scores, (start[:, :1] + end[:, :1]).float()], dim=1)
        if self.target.last - self.target.first >= self.target.max_answer_tokens:
            # A true span may be longer than any that is answered with: it competes all the same.
            own = start[:, [self.target.first]] + end[:, [self.target.last]]
            scores = torch.cat([scores, own.float()], dim=1)
        return torch.logsumexp(scores, dim=1)

    @property
    def _allowed(self) -> Bool[Tensor, " token"]:
        inside = torch.zeros(self.text.n_tokens, dtype=torch.bool)
        for word in self.text.words:
            if word.part == "context":
                inside[word.first_token : word.last_token + 1] = True
        return inside
