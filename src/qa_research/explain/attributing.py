"""Which words made an answer: a run is asked, and its answer attributed by each method in turn."""

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.explain.attribution import Attribution, State
from qa_research.explain.faithfulness import faithfulness
from qa_research.explain.gradients import erased, integrated_gradients
from qa_research.explain.spans import answered
from qa_research.explain.words import SPAN, word_lime
from qa_research.run.opened import OpenRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
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


def attribute(opened: OpenRun, question: str, context: str, wish: Wish) -> Attribution:
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
