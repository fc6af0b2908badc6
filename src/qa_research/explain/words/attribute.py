"""Which words made an answer: a run is asked, and its answer attributed by each method in turn.

Which words carry the true answer of a watched question, at each kept checkpoint of its training.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.capture.recording.reader import Recording
from qa_research.explain.words.faithfulness import faithfulness
from qa_research.explain.words.gradients import LARGEST_ERROR, erased, integrated_gradients
from qa_research.explain.words.lime import LOWEST_R2, SPAN, word_lime
from qa_research.explain.words.reader import (
    OUTPUTS,
    Explained,
    Reader,
    answered,
    part_of_word,
    true_span,
    where,
)
from qa_research.explain.words.result import Attribution, State, by_word, listed, plain, text_json
from qa_research.runs.checkpoints import kept_steps
from qa_research.runs.open import OpenRun, open_run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AttributionRequest:
    """Which methods, how many LIME masks in each repeat, and how many words count as the top."""

    methods: tuple[str, ...]
    samples: int
    seed: int
    top: int
    keep_answer: bool


def state_of(opened: OpenRun) -> State:
    """An opened run as what its results are of."""
    directory = opened.directory.resolve()
    return State(f"{directory.parent.name}/{directory.name}", opened.checkpoint.stem, opened.step)


def attribute(
    opened: OpenRun, question: str, context: str, wish: AttributionRequest
) -> Attribution:
    """The words that made the answer of `opened` to a question about a text.

    Raises:
        ValueError: question or context cannot be asked about, or the network gives no finite logits.
    """
    explained, answer = answered(opened, question, context, wish.keep_answer)
    reader = explained.reader
    log.info(
        "%d words in %d tokens; a word that is off is %s",
        len(reader.units),
        reader.text.n_tokens,
        reader.off.token,
    )
    values: dict[str, Float[ndarray, "output unit"]] = {}
    gradients = lime = None
    if "gradients" in wish.methods:
        log.info("Integrated gradients")
        gradients = integrated_gradients(reader)
        values["gradients"] = gradients.values
    if "erasure" in wish.methods:
        log.info("Word erasure")
        values["erasure"] = erased(reader)
    if "lime" in wish.methods:
        lime = word_lime(reader, wish.samples, wish.seed, wish.top)
        values["lime"] = lime.values

    def probability(masks: Bool[ndarray, "mask unit"]) -> Float[ndarray, " mask"]:
        return reader.say(masks, "Faithfulness").probability

    rankings = {name: np.asarray(found[SPAN]) for name, found in values.items()}
    return Attribution(
        state=state_of(opened),
        explained=explained,
        answer=answer,
        values=values,
        gradients=gradients,
        lime=lime,
        faithfulness=faithfulness(probability, rankings, wish.seed),
        top=wish.top,
        seed=wish.seed,
    )


# Over many checkpoints a sum that is a little off at one of them is said, not driven down.
MOST_STEPS = 80


@dataclass(frozen=True)
class AtStep:
    """One question at one checkpoint: values by method [output unit], and the true span's probability.

    `error`: the largest error of integrated gradients; `unseen_r2`: of LIME; None without that method.
    """

    step: int
    checkpoint: str
    probability: float
    values: Mapping[str, Float[ndarray, "output unit"]]
    error: float | None
    unseen_r2: float | None


@dataclass(frozen=True)
class OverSteps:
    """The attributions of a watched question's true span to its words, step by step.

    The span is the same at every step, whatever the network answers there.
    """

    run: str
    described: Mapping[str, Any]
    explained: Explained
    found: tuple[AtStep, ...]
    seed: int

    @property
    def quantity(self) -> str:
        """What is explained, in a sentence."""
        if self.explained.reader.target.is_null:
            what = "“no answer”, which is right, at token 0, [CLS]"
        else:
            what = f"the true span “{self.explained.span_text}”"
        return f"Explained is {what}: its start logit, its end logit, and their sum, at every step the same."

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing it, a sentence each."""
        reader = self.explained.reader
        sentences = [where(reader.text), part_of_word(self.explained), reader.off.note]
        steps = [found.step for found in self.found if (found.error or 0) > LARGEST_ERROR]
        if steps:
            sentences.append(
                f"Integrated gradients miss more than {100 * LARGEST_ERROR:.0f} % of what they must sum to "
                f"at {_named(steps)}."
            )
        unsure = [
            found.step
            for found in self.found
            if found.unseen_r2 is not None and not found.unseen_r2 >= LOWEST_R2
        ]
        if unsure:
            sentences.append(
                f"LIME cannot be believed at {_named(unsure)}: its linear model's R2 on masks it has "
                f"not seen is below {LOWEST_R2}."
            )
        return [sentence for sentence in sentences if sentence]

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; equal for equal weights and seed on one machine."""
        reader = self.explained.reader
        methods = {
            name: {
                output: [by_word(reader, found.values[name])[place] for found in self.found]
                for place, output in enumerate(OUTPUTS)
            }
            for name in self.found[0].values
        }
        return {
            "run": self.run,
            "question_id": self.described["id"],
            "split": self.described["split"],
            "answers": list(self.described["answers"]),
            "quantity": self.quantity,
            **text_json(self.explained),
            "steps": [found.step for found in self.found],
            "checkpoints": [found.checkpoint for found in self.found],
            "probability": listed([found.probability for found in self.found]),
            "methods": methods,
            "error": [_or_none(found.error) for found in self.found],
            "unseen_r2": [_or_none(found.unseen_r2) for found in self.found],
            "warnings": self.warnings,
            "seed": self.seed,
        }


def over_steps(
    directory: Path, recording: Recording, chosen: Sequence[int], wish: AttributionRequest
) -> list[OverSteps]:
    """The watched questions `chosen`, by number, at every kept checkpoint of the run in `directory`.

    A question whose true span is not in the window that was watched is left out, and that is said.

    Raises:
        ValueError: the run kept no steps, the recording tells no true spans, or no question is left.
    """
    names = kept_steps(directory)
    spans = _true_spans(recording)
    found: dict[int, list[AtStep]] = {}
    explained: dict[int, Explained] = {}
    run = ""
    for place, name in enumerate(names):
        log.info("Checkpoint %s (%d of %d)", name, place + 1, len(names))
        opened = open_run(directory, name)
        run = state_of(opened).run
        if not place:
            for number in chosen:
                described = recording.questions[number]
                span = true_span(opened, described, *spans[number])
                if span is not None:
                    explained[number] = span
                else:
                    log.warning(
                        "%s is left out: its true span is not in the window that was watched",
                        described["id"],
                    )
            if not explained:
                raise ValueError(
                    "no true span to explain: it is not in the window that was watched"
                )
        for number, span in explained.items():
            reader = replace(span.reader, network=opened.network)
            step = opened.step if opened.step is not None else int(name)
            found.setdefault(number, []).append(_at_step(reader, step, name, wish))
    return [
        OverSteps(run, recording.questions[number], span, tuple(found[number]), wish.seed)
        for number, span in explained.items()
    ]


def _at_step(reader: Reader, step: int, checkpoint: str, wish: AttributionRequest) -> AtStep:
    values: dict[str, Float[ndarray, "output unit"]] = {}
    error = unseen = None
    if "gradients" in wish.methods:
        gradients = integrated_gradients(reader, MOST_STEPS)
        values["gradients"], error = gradients.values, float(gradients.error.max())
    if "erasure" in wish.methods:
        values["erasure"] = erased(reader)
    if "lime" in wish.methods:
        lime = word_lime(reader, wish.samples, wish.seed, wish.top)
        values["lime"], unseen = lime.values, lime.unseen_r2
    whole = np.ones((1, len(reader.units)), dtype=bool)
    probability = float(reader.say(whole, "Asking").probability[0])
    return AtStep(step, checkpoint, probability, values, error, unseen)


def _true_spans(recording: Recording) -> list[tuple[int, int]]:
    """First and last token of each watched question's true span, from any recorder that has questions."""
    for name in recording.recorders:
        data = recording.read(name)
        if "true_first" in data.coords:
            columns = (data[end].to_numpy().tolist() for end in ("true_first", "true_last"))
            return list(zip(*columns, strict=True))
    raise ValueError(
        f"{recording.path} tells no true spans; it has {', '.join(recording.recorders)}. Train with logits "
        "among capture/recorders"
    )


def _named(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:8])) + (" and more" if len(steps) > 8 else "")
    return f"step{'' if len(steps) == 1 else 's'} {shown}"


def _or_none(value: float | None) -> float | None:
    return None if value is None else plain(value)
