"""Which words made an answer: a run is asked, and its answer attributed to words by each method in turn.

Also which words carry the true answer of a watched question, at each kept checkpoint of its training.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.capture.recording.reader import Recording
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
from qa_research.explain.words.lime import LOWEST_R2, word_lime
from qa_research.explain.words.reader import (
    Explained,
    Reader,
    WordReader,
    answered_span,
    true_span,
)
from qa_research.explain.words.result import (
    LARGEST_ERROR,
    NAMES,
    OUTPUTS,
    Agreement,
    Attribution,
    AttributionOverSteps,
    ExplainedWindow,
    Faithfulness,
    GradientValues,
    LimeValues,
    MethodValues,
    ShownText,
    ShownWord,
    Span,
    StepValues,
    all_rounded,
    number_text,
    rounded,
    rounded_or_none,
    strongest,
)
from qa_research.runs.checkpoints import kept_steps
from qa_research.runs.open import open_run
from qa_research.stats import rank_correlation, top_overlap
from qa_research.tasks.answering.trained import TrainedAnswerer, answerer_of
from qa_research.tasks.opened import Opened
from qa_research.text import plural

log = logging.getLogger(__name__)

# Below this the network prefers other spans together to the one that is explained.
UNSURE = 0.5
# Over many checkpoints a sum that is slightly off at one of them is reported rather than refined.
MOST_STEPS_PER_CHECKPOINT = 80
# Warnings name at most so many steps.
NAMED_STEPS = 8


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
    """The words that made the answer of `run` to a question about a text.

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
    methods = _measure(reader, request, MOST_STEPS)
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
        text=_shown(explained),
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
    methods = _measure_example(reader, request)
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


def _measure_example(reader: ExampleReader, request: AttributionRequest) -> dict[str, MethodValues]:
    found: dict[str, MethodValues] = {}
    if "gradients" in request.methods:
        found["gradients"] = example_gradients(reader, request.seed)
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


def _measure(
    reader: Reader, request: AttributionRequest, most_steps: int
) -> dict[str, MethodValues]:
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


def _shown(explained: Explained) -> ShownText:
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


@dataclass(frozen=True)
class _AtStep:
    """One question at one checkpoint: the true span's probability there, and the methods' values."""

    step: int
    checkpoint: str
    probability: float
    methods: Mapping[str, MethodValues]

    @property
    def error(self) -> float | None:
        """The largest of integrated gradients; None without that method."""
        values = self.methods.get("gradients")
        return values.largest_error if isinstance(values, GradientValues) else None

    @property
    def lime(self) -> LimeValues | None:
        """What LIME found, if it was asked for."""
        values = self.methods.get("lime")
        return values if isinstance(values, LimeValues) else None


def over_steps(
    directory: Path, recording: Recording, chosen: Sequence[int], request: AttributionRequest
) -> list[AttributionOverSteps]:
    """The watched questions `chosen`, by number, at every kept checkpoint of the run in `directory`.

    A question whose true span is not in the window that was watched is skipped with a warning.

    Raises:
        ValueError: the run kept no steps, the recording has no true spans, or no question remains.
    """
    names = kept_steps(directory)
    spans = _true_spans(recording)
    # Windows and words are the same at every checkpoint; only the network changes.
    explained: dict[int, Explained] = {}
    found: dict[int, list[_AtStep]] = {number: [] for number in chosen}
    run_name = ""
    for i, name in enumerate(names):
        log.info("Checkpoint %s (%d of %d)", name, i + 1, len(names))
        run = answerer_of(open_run(directory, name))
        if not explained:
            run_name = run.name
            explained = _explained(run, recording, {number: spans[number] for number in chosen})
        step = run.step if run.step is not None else int(name)
        for number, span in explained.items():
            reader = replace(span.reader, network=run.network)
            probability = float(reader.predict_full().probability[0])
            methods = _measure(reader, request, MOST_STEPS_PER_CHECKPOINT)
            found[number].append(_AtStep(step, name, probability, methods))
    return [
        _joined(run_name, recording.questions[number], span, found[number], request.seed)
        for number, span in explained.items()
    ]


def _explained(
    run: TrainedAnswerer, recording: Recording, spans: Mapping[int, tuple[int, int]]
) -> dict[int, Explained]:
    """The true spans of watched questions, without those that are not in the watched window."""
    explained = {}
    for number, (first, last) in spans.items():
        described = recording.questions[number]
        span = true_span(run, described, first, last)
        if span is None:
            log.warning(
                "%s is skipped: its true span is not in the window that was watched",
                described["id"],
            )
        else:
            explained[number] = span
    if not explained:
        raise ValueError("no true span to explain: it is not in the window that was watched")
    return explained


def _true_spans(recording: Recording) -> list[tuple[int, int]]:
    """First and last token of each watched question's true span, from any recorder that has questions."""
    for name in recording.recorders:
        data = recording.read(name)
        if "true_first" in data.coords:
            columns = (data[end].to_numpy().tolist() for end in ("true_first", "true_last"))
            return list(zip(*columns, strict=True))
    raise ValueError(
        f"{recording.path} has no true spans, only {', '.join(recording.recorders)}. Train with logits "
        "among capture/recorders"
    )


def _joined(
    run: str,
    described: Mapping[str, Any],
    explained: Explained,
    found: Sequence[_AtStep],
    seed: int,
) -> AttributionOverSteps:
    """One question's results at all steps, as one."""
    return AttributionOverSteps(
        run=run,
        question_id=described["id"],
        split=described["split"],
        answers=tuple(described["answers"]),
        quantity=_quantity_over_steps(explained),
        text=_shown(explained),
        steps=tuple(at.step for at in found),
        checkpoints=tuple(at.checkpoint for at in found),
        probability=all_rounded(at.probability for at in found),
        methods={
            name: StepValues(
                **{out: tuple(getattr(at.methods[name], out) for at in found) for out in OUTPUTS}
            )
            for name in found[0].methods
        },
        error=tuple(rounded_or_none(at.error) for at in found),
        unseen_r2=tuple(at.lime.unseen_r2 if at.lime else None for at in found),
        warnings=(*explained.notes, *_doubts_over_steps(found)),
        seed=seed,
    )


def _doubts_over_steps(found: Sequence[_AtStep]) -> list[str]:
    off = [at.step for at in found if at.error is not None and at.error > LARGEST_ERROR]
    # Without an R2, for logits that never changed, LIME has nothing to say either.
    unsure = [at.step for at in found if at.lime and (at.lime.unseen_r2 or 0.0) < LOWEST_R2]
    sentences = []
    if off:
        sentences.append(
            f"Integrated gradients do not add up at {_named(off)}: their sum is off by more than "
            f"{100 * LARGEST_ERROR:.0f} %."
        )
    if unsure:
        sentences.append(
            f"LIME is not reliable at {_named(unsure)}: on masks it was not fitted to, its linear "
            f"model's R² is below {LOWEST_R2}."
        )
    return sentences


def _quantity_over_steps(explained: Explained) -> str:
    """What is explained, in a sentence."""
    if explained.reader.target.is_null:
        what = "“no answer”, which is right, at token 0, [CLS]"
    else:
        what = f"the true span “{explained.span_text}”"
    return f"Explained is {what}: its start logit, its end logit, and their sum, at every step the same."


def _named(steps: Sequence[int]) -> str:
    """ "step 10", "steps 10, 20", or the first few "and more"."""
    shown = ", ".join(map(str, steps[:NAMED_STEPS]))
    return f"step{'s' if len(steps) > 1 else ''} {shown}{' and more' if len(steps) > NAMED_STEPS else ''}"
