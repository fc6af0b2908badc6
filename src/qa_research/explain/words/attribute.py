"""Which words led to an answer: a run is asked, and its answer attributed to words by each method in turn.

At each kept checkpoint of a training: steps.py.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.explain.ranking import chance_jaccard
from qa_research.explain.words.example import (
    ExampleReader,
    example_erasure,
    example_gradients,
    reader_of,
    shown_text,
)
from qa_research.explain.words.faithfulness import faithfulness
from qa_research.explain.words.gradients import MOST_STEPS, integrated_gradients, word_erasure
from qa_research.explain.words.lime import word_lime
from qa_research.explain.words.reader import (
    Explained,
    Reader,
    WordReader,
    answered_span,
)
from qa_research.explain.words.result import (
    NAMES,
    Agreement,
    Attribution,
    ExplainedWindow,
    Faithfulness,
    GradientValues,
    LimeValues,
    MethodValues,
    ShownText,
    ShownWord,
    Span,
    number_text,
    rounded,
    rounded_or_none,
    strongest,
)
from qa_research.stats import rank_correlation, top_overlap
from qa_research.tasks.answering.trained import TrainedAnswerer
from qa_research.tasks.opened import Opened
from qa_research.text import plural

log = logging.getLogger(__name__)

# Below this the network prefers other spans together to the one that is explained.
UNSURE = 0.5


@dataclass(frozen=True)
class AttributionRequest:
    """Which methods, how many LIME masks in each repeat, and how many words count as the top.

    `keep_answer`: the answer's own words always stay on.
    """

    methods: tuple[str, ...]
    samples: int
    seed: int
    top: int
    keep_answer: bool


def attribute(
    run: TrainedAnswerer, question: str, context: str, request: AttributionRequest
) -> Attribution:
    """The words that led to the answer of `run` to a question about a text.

    Raises:
        ValueError: question or context cannot be asked about, it has no more words than `request.top`, or the
            network's logits are not finite.
    """
    explained, answer = answered_span(run, question, context, request.keep_answer)
    reader = explained.reader
    _check_top(reader, request.top)
    log.info(
        "%d words in %d tokens; a word that is off is %s",
        len(reader.units),
        reader.text.n_tokens,
        reader.off.token,
    )
    log.info("Attributing by %s", ", ".join(NAMES[name] for name in request.methods))
    methods = measure(reader, request, MOST_STEPS)
    # The values by which each method ranks the words: those for the sum of both logits.
    rankings = {
        name: np.array([values.span[number] for number in reader.units], dtype=np.float64)
        for name, values in methods.items()
    }

    others = reader.besides_answer
    rankings = {name: values[others] for name, values in rankings.items()}
    faithful, full = _faithfulness(reader, rankings, request.seed)
    return Attribution(
        run=run.name,
        checkpoint=run.label,
        step=run.step,
        answer=answer.text,
        answer_probability=rounded_or_none(answer.probability),
        probability=rounded(full),
        quantity=_quantity(explained),
        text=shown(explained),
        methods=methods,
        agreement=_agreement(rankings, request.top),
        faithfulness=faithful,
        warnings=(*explained.notes, *_doubts(methods, full), *faithful.doubts),
        top=request.top,
        seed=request.seed,
    )


def attribute_example(opened: Opened[Any], row: Any, request: AttributionRequest) -> Attribution:
    """The words of one example, of a run of any task, that made the network say what it says of it.

    Explained is the logit of the label that it chooses, or its prediction.

    Raises:
        ValueError: nothing of it can be switched off, it has no more words than `request.top`, or the
            network's outputs are not finite.
    """
    if request.keep_answer:
        raise ValueError("--keep-answer is for questions: nothing of an example is its answer")
    reader = reader_of(opened, row)
    _check_top(reader, request.top)
    log.info("%d words in %d tokens", len(reader.units), len(reader.example.tokens))
    log.info("Attributing by %s", ", ".join(NAMES[name] for name in request.methods))
    methods = measure_example(reader, request, MOST_STEPS)
    rankings = {name: np.array(values.span, dtype=np.float64) for name, values in methods.items()}
    faithful, full = _faithfulness(reader, rankings, request.seed)
    said = number_text(full) if reader.is_number else reader.watched.outputs.rows[reader.row]
    return Attribution(
        run=opened.name,
        checkpoint=opened.label,
        step=opened.step,
        answer=said,
        answer_probability=None if reader.is_number else rounded(full),
        probability=rounded(full),
        quantity=_quantity_of_example(reader, said),
        text=shown_text(reader, said),
        methods=methods,
        agreement=_agreement(rankings, request.top),
        faithfulness=faithful,
        warnings=(
            *([reader.off.note] if reader.off.note else []),
            *_doubts(methods, UNSURE if reader.is_number else full),
            *faithful.doubts,
        ),
        top=request.top,
        seed=request.seed,
    )


def measure_example(
    reader: ExampleReader, request: AttributionRequest, most_steps: int
) -> dict[str, MethodValues]:
    """The values by each requested method; gradients are integrated in at most so many steps."""
    found: dict[str, MethodValues] = {}
    if "gradients" in request.methods:
        found["gradients"] = example_gradients(reader, request.seed, most_steps)
    if "erasure" in request.methods:
        found["erasure"] = example_erasure(reader)
    if "lime" in request.methods:
        found["lime"] = word_lime(reader, request.samples, request.seed, request.top)
    return found


def _quantity_of_example(reader: ExampleReader, said: str) -> str:
    """What is explained, in a sentence."""
    if reader.is_number:
        return f"Explained is the prediction, {said}: what raises it supports it."
    return f"Explained is the logit of the label “{said}”, which the network chose."


def _check_top(reader: WordReader, top: int) -> None:
    n = len(reader.besides_answer)
    if top >= n:
        besides = "" if isinstance(reader, ExampleReader) else " besides the answer's"
        raise ValueError(
            f"--top {top} is all there is: the text has {plural(n, 'word')}{besides}; "
            "name fewer, or ask about a longer text"
        )


def _faithfulness(
    reader: WordReader, rankings: Mapping[str, Float[ndarray, " other"]], seed: int
) -> tuple[Faithfulness, float]:
    """The curves over words besides the span's own, which stay on."""
    others = reader.besides_answer
    # Words that are always on are of the answer, too.
    words = len(reader.text.words) if isinstance(reader, Reader) else len(reader.units)
    answer_stays = len(others) < words

    def probability(masks: Bool[ndarray, "mask other"]) -> Float[ndarray, " mask"]:
        among_all = np.ones((len(masks), len(reader.units)), dtype=bool)
        among_all[:, others] = masks
        return reader.predict(among_all, "Faithfulness").probability

    found, full = faithfulness(probability, rankings, seed)
    return replace(found, answer_stays=answer_stays), full


def measure(
    reader: Reader, request: AttributionRequest, most_steps: int
) -> dict[str, MethodValues]:
    """The values by each requested method; gradients are integrated in at most so many steps."""
    found: dict[str, MethodValues] = {}
    if "gradients" in request.methods:
        found["gradients"] = integrated_gradients(reader, most_steps)
    if "erasure" in request.methods:
        found["erasure"] = word_erasure(reader)
    if "lime" in request.methods:
        found["lime"] = word_lime(reader, request.samples, request.seed, request.top)
    return found


def _doubts(methods: Mapping[str, MethodValues], probability: float) -> list[str]:
    """Why not to rely on the methods' values, a sentence each."""
    found = []
    if probability < UNSURE:
        found.append(
            f"The span's probability is only {probability:.2f}: the network is unsure, and the curves "
            "have little to lose."
        )
    for values in methods.values():
        if isinstance(values, GradientValues | LimeValues) and values.doubt:
            found.append(values.doubt)
    return found


def _agreement(rankings: Mapping[str, Float[ndarray, " other"]], top: int) -> tuple[Agreement, ...]:
    found = []
    for (one, a), (other, b) in combinations(rankings.items(), 2):
        strong = strongest([a, b])
        found.append(
            Agreement(
                methods=(one, other),
                rank_correlation=rounded_or_none(rank_correlation(a[strong], b[strong])),
                top_overlap=rounded(top_overlap(a, b, top)),
                words=len(strong),
                chance_overlap=rounded(chance_jaccard(top, len(a))),
            )
        )
    return tuple(found)


def shown(explained: Explained) -> ShownText:
    """A question and its window as pages show them."""
    reader, text = explained.reader, explained.reader.text
    start, end = text.context_chars
    in_span = set(explained.span_words)
    return ShownText(
        question=text.question,
        context=text.context,
        span=Span(
            text=explained.span_text,
            char_start=explained.char_start,
            char_end=explained.char_end,
            first_token=reader.target.first,
            last_token=reader.target.last,
        ),
        window=ExplainedWindow(text.window, text.windows, start, end),
        off=reader.off.token,
        words=tuple(
            ShownWord(
                text=word.text,
                part=word.part,
                char_start=word.char_start,
                char_end=word.char_end,
                in_span=number in in_span,
                switched=number in reader.units,
            )
            for number, word in enumerate(text.words)
        ),
    )


def _quantity(explained: Explained) -> str:
    """What is explained, in a sentence."""
    if explained.reader.target.is_null:
        return (
            "The answer is “no answer”. Explained is its score at token 0, [CLS]: the start logit "
            "there, the end logit there, and their sum."
        )
    return (
        f"Explained is the answered span “{explained.span_text}”: the start logit at its first "
        "token, the end logit at its last, and their sum."
    )
