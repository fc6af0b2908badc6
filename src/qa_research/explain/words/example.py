"""Which words of a pair, or letters of a sequence, make what a network says of it: for runs of any task.

The methods and their controls are those of answers. What is explained is one number: the logit of the label
that the network chose, or its prediction.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerIntegratedGradients
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from qa_research.capture.sites import places_of
from qa_research.console import tracked
from qa_research.explain.words.gradients import FIRST_STEPS, MOST_STEPS, share_missing
from qa_research.explain.words.result import (
    LARGEST_ERROR,
    ErasureValues,
    ExplainedWindow,
    GradientValues,
    ShownText,
    ShownWord,
    Span,
    all_rounded,
)
from qa_research.model.tokenizer import Off
from qa_research.streams import stream
from qa_research.tasks.opened import Opened
from qa_research.tasks.watching import NO_WORD, Watched, WatchedExample

# In one batch, padding included.
MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
# Of a sequence, from which its gradients are integrated.
SHUFFLES = 20


@dataclass(frozen=True)
class ExamplePredictions:
    """By text: the explained score, and the probability of its label; of a number both are the number."""

    score: Float[ndarray, " text"]
    probability: Float[ndarray, " text"]

    @property
    def outputs(self) -> Float[ndarray, "one text"]:
        """The score, as the only output."""
        return self.score[None]


@dataclass(frozen=True)
class ExampleReader:
    """A network that reads one example with some of its words off; `units` are all of its words, by number.

    `watched`: a batch of this example alone. `row`: which of its scores is explained.
    """

    network: nn.Module
    watched: Watched
    row: int

    @property
    def example(self) -> WatchedExample:
        """What is read."""
        return self.watched.examples[0]

    @property
    def off(self) -> Off:
        """What a token becomes that is off."""
        assert self.watched.off is not None, "reader_of refuses others"
        return self.watched.off

    @property
    def units(self) -> tuple[int, ...]:
        """The words by number: any of them may be switched off."""
        return tuple(range(max(self.example.word_of) + 1))

    @property
    def besides_answer(self) -> list[int]:
        """All of them: nothing of an example is the answer itself."""
        return list(self.units)

    @property
    def is_number(self) -> bool:
        """Whether the network says a number."""
        return self.watched.outputs.kind == "number"

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def whole(self) -> Float[Tensor, "one token ..."]:
        """The input that tokens are switched in, with all words on."""
        return self.watched.inputs[self.watched.switched].to(self.device)

    def references(self, seed: int) -> Float[Tensor, "reference token ..."]:
        """Inputs without what words say: all words off; or of vectors SHUFFLES, their words in other orders.

        Example: letters "gat" and three shuffles: "tag", "gta", "agt".
        """
        if not self.whole.is_floating_point():
            return self.switched(np.zeros((1, len(self.units)), dtype=bool))
        places = np.flatnonzero(self._word_of != NO_WORD)
        draw = stream(seed, "shuffled")
        found = self.whole.repeat(SHUFFLES, *[1] * (self.whole.ndim - 1))
        for own in found:
            own[places] = self.whole[0, draw.permutation(places)]
        return found

    def switched(self, masks: Bool[ndarray, "mask unit"]) -> Float[Tensor, "mask token ..."]:
        """The input that tokens are switched in, with the words off that are False in a mask.

        Words [-1, 0, 1, 1, -1] and the mask [True, False] keep the tokens 0, 1 and 4.
        """
        full = self.whole
        stays = np.ones((len(masks), 1), dtype=bool)
        # Index -1, NO_WORD, is the last column, which is always on.
        on = torch.from_numpy(np.concatenate([masks, stays], axis=1)[:, self._word_of])
        on = on.reshape(*on.shape, *[1] * (full.ndim - 2)).to(self.device)
        return torch.where(on, full, torch.as_tensor(self.off.token_id).to(full))

    def scores(self, switched: Tensor) -> Float[Tensor, "text row"]:
        """What the network puts out; gradients flow where they are enabled."""
        name, count = self.watched.switched, len(switched)
        others = {
            key: values.to(self.device).expand(count, *values.shape[1:])
            for key, values in self.watched.inputs.items()
            if key != name
        }
        return self.watched.outputs.read(self.network(**{name: switched}, **others))

    def explained(self, switched: Tensor) -> Float[Tensor, " text"]:
        """The explained score."""
        return self.scores(switched)[:, self.row]

    def predict(self, masks: Bool[ndarray, "mask unit"], what: str) -> ExamplePredictions:
        """The predictions for each mask, in batches; `what` is the label of the progress bar.

        Raises:
            ValueError: the outputs are not finite.
        """
        size = max(1, MOST_TOKENS[self.device.type] // len(self.example.tokens))
        batches = [masks[i : i + size] for i in range(0, len(masks), size)]
        with torch.inference_mode():
            scores = finite(torch.cat(list(self._batches(batches, what))))
        score = scores[:, self.row].numpy()
        if self.is_number:
            return ExamplePredictions(score, score)
        return ExamplePredictions(score, scores.softmax(dim=1)[:, self.row].numpy())

    def by_word(self, values: Float[ndarray, "one unit"]) -> dict[str, Any]:
        """The values of the one output; there is no start and no end."""
        return {"start": None, "end": None, "span": all_rounded(values[0])}

    def of_words(self, by_token: Float[ndarray, " token"]) -> Float[ndarray, " unit"]:
        """The sum over the tokens of each word."""
        found = np.zeros(len(self.units) + 1)
        np.add.at(found, self._word_of, by_token)
        return found[:-1]

    @property
    def _word_of(self) -> Int[ndarray, " token"]:
        words = np.array(self.example.word_of)
        assert words.min() >= NO_WORD
        return words

    def _batches(
        self, batches: Sequence[Bool[ndarray, "mask unit"]], what: str
    ) -> Iterator[Float[Tensor, "text row"]]:
        for masks in tracked(batches, what):
            yield self.scores(self.switched(masks))


def finite(scores: Tensor) -> Tensor:
    """The scores in double precision, on the CPU.

    Raises:
        ValueError: one of them is not finite.
    """
    if not torch.isfinite(scores).all():
        raise ValueError(
            "the network's outputs are not finite numbers: there is nothing to explain"
        )
    return scores.double().cpu()


def reader_of(opened: Opened[Any], row: Any) -> ExampleReader:
    """What reads one example of a run, to explain the label that the network chooses, or its number.

    Raises:
        ValueError: its task does not say which of its words can be switched off.
    """
    watched = opened.watched([row])
    if watched.off is None:
        raise ValueError(
            f"{opened.name} cannot be explained: its task does not say how a token is switched off"
        )
    reader = ExampleReader(opened.network, watched, 0)
    if not reader.units:
        raise ValueError("there is no word to switch off")
    with torch.inference_mode():
        scores = reader.scores(reader.switched(np.ones((1, len(reader.units)), dtype=bool)))
    return ExampleReader(opened.network, watched, int(scores[0].argmax()))


def example_erasure(reader: ExampleReader) -> ErasureValues:
    """How much the explained score falls when that one word is switched off."""
    count = len(reader.units)
    masks = np.concatenate([np.ones((1, count), dtype=bool), ~np.eye(count, dtype=bool)])
    score = reader.predict(masks, "Erasure").score
    return ErasureValues(**reader.by_word((score[0] - score[1:])[None]))


def example_gradients(
    reader: ExampleReader, seed: int, most_steps: int = MOST_STEPS
) -> GradientValues:
    """Integrated gradients of the explained score, by word; see `gradients.integrated_gradients`.

    Along straight lines from `references`. Of tokens with ids there is one, in their embeddings. Of vectors,
    such as letters, there are SHUFFLES in the input, and a value is the mean over them: an input of zeros is
    none that the network was trained on, and what it makes of it says little about letters.

    Source: Shrikumar, Greenside, Kundaje 2017, DeepLIFT, section 4.2, which shuffles references; Erion et al.
        2021, expected gradients, which averages over them.
    """
    whole, references = reader.whole, reader.references(seed)
    with torch.inference_mode():
        ends = finite(reader.explained(torch.cat([whole, references]))).numpy()
    change = np.array([ends[0] - ends[1:].mean()])
    attribute = _integrator(reader, whole, references)
    steps = min(FIRST_STEPS, most_steps)
    while True:
        values = reader.of_words(attribute(steps))[None]
        error = share_missing(values, change)
        if (error <= LARGEST_ERROR).all() or steps == most_steps:
            return GradientValues(
                **reader.by_word(values),
                steps=steps,
                error=all_rounded(error),
                shuffles=len(references) if whole.is_floating_point() else 0,
            )
        steps = min(2 * steps, most_steps)


def _integrator(
    reader: ExampleReader, whole: Tensor, references: Tensor
) -> Callable[[int], Float[ndarray, " token"]]:
    """What integrates gradients in so many steps from each reference, by token: their mean."""
    if whole.is_floating_point():
        method: Any = IntegratedGradients(reader.explained)
    else:
        method = LayerIntegratedGradients(reader.explained, _embeddings(reader.network))
    size = max(1, MOST_TOKENS[reader.device.type] // len(reader.example.tokens))

    def integrated(steps: int) -> Float[ndarray, " token"]:
        # A recurrent network on a GPU has no gradients in eval mode but without cuDNN.
        with torch.backends.cudnn.flags(enabled=False):
            found = method.attribute(
                whole.expand_as(references),
                baselines=references,
                n_steps=steps,
                method="gausslegendre",
                internal_batch_size=max(size, len(references)),
            )
        by_token: Float[ndarray, " token"] = (
            found.detach().mean(0).flatten(1).sum(1).double().cpu().numpy()
        )
        return by_token

    return integrated


def _embeddings(network: nn.Module) -> nn.Module:
    """The layer whose output stands for tokens."""
    places = places_of(network)
    if places is not None:
        return network.get_submodule(places.embeddings)
    untyped: Any = network
    found: nn.Module = untyped.get_input_embeddings()
    return found


def shown_text(reader: ExampleReader, said: str) -> ShownText:
    """The example as pages show it; `said`: what the network says of it.

    A pair has a first and a second text; all else has only a second one.
    """
    example, watched = reader.example, reader.watched
    names = list(dict.fromkeys(part for part in example.parts if part not in ("cls", "sep")))
    begin = 0
    if len(names) > 1:
        begin = next(
            first
            for part, (first, _) in zip(example.parts, example.chars, strict=True)
            if part == names[-1]
        )
    words = []
    for unit in reader.units:
        own = [token for token, word in enumerate(example.word_of) if word == unit]
        first, last = example.chars[own[0]][0], example.chars[own[-1]][1]
        is_second, is_marked = first >= begin, own[0] in example.marked
        shift = begin if is_second else 0
        words.append(
            ShownWord(
                text=example.text[first:last],
                part="context" if is_second else "question",
                char_start=first - shift,
                char_end=last - shift,
                in_span=is_marked,
                switched=True,
                called=watched.marked_as if is_marked else example.parts[own[0]],
            )
        )
    context = example.text[begin:]
    return ShownText(
        question=example.text[:begin].rstrip("\n"),
        context=context,
        span=Span(said, 0, 0, 0, 0),
        window=ExplainedWindow(0, 1, 0, len(context)),
        off=reader.off.token,
        words=tuple(words),
        says="prediction" if reader.is_number else "label",
        framed=watched.marked_as,
    )
