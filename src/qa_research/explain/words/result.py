"""What an attribution is once it is computed: which words led to an answer, by each method, as plain values.

The result types save and load themselves as attribution.json. Nothing here computes or imports anything
heavy, so the command line can check the methods' names before torch is loaded.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from qa_research.explain.ranking import StableTop, p_of_beaten, ranks_sentence
from qa_research.explain.saved import read_document, restored, write_document
from qa_research.text import names_in

FORMAT = "attribution-1"
NAMES = {"gradients": "Integrated gradients", "erasure": "Word erasure", "lime": "LIME"}
METHODS = tuple(NAMES)
# LIME needs a thousand forward passes where the others need a hundred.
USUAL_OVER_STEPS = ("gradients", "erasure")
# What is attributed: the span's two logits, and their sum, the score that decides between spans.
OUTPUTS = ("start", "end", "span")
# What a network says that answers questions; see ShownText.
ANSWER = "answer"
# The two ways of testing a ranking; each is a field of `Curves` and of `RandomOrders`.
CURVES = ("comprehensiveness", "sufficiency")
# Integrated gradients whose sum is off by a larger share of what it must be are not reliable.
LARGEST_ERROR = 0.05
# A method whose area random orders reach with a higher probability is reported as no better than chance.
LEVEL = 0.05
# Words below this share of a method's largest value are not compared by rank: their order is rounding.
LEAST_SHARE = 0.05

# By word; None for a word that always stays on.
Values = tuple[float | None, ...]


def methods_of(words: Sequence[str], usual: tuple[str, ...]) -> tuple[str, ...]:
    """The methods of `--method`, given once or several times, or with commas; `usual` if there are none.

    Raises:
        ValueError: an unknown method.
    """
    named = names_in(words)
    if unknown := [name for name in named if name not in METHODS]:
        raise ValueError(
            f"--method {unknown[0] or words[0]} is unknown; these are known: {', '.join(METHODS)}"
        )
    return tuple(name for name in METHODS if name in named) or usual


@dataclass(frozen=True)
class Span:
    """The explained span: characters of the context, tokens of the window (both inclusive).

    "No answer" has an empty text and is at token 0.
    """

    text: str
    char_start: int
    char_end: int
    first_token: int
    last_token: int


@dataclass(frozen=True)
class ExplainedWindow:
    """Which window of the question was explained, counted from 0, and its characters of the context."""

    number: int
    of: int
    char_start: int
    char_end: int


@dataclass(frozen=True)
class ShownWord:
    """A word with its characters of the question or the context, whichever `part` says.

    `switched`: whether it was ever switched off; the others always stayed on and have no values. Of an
    example of another task `in_span`: whether it carries the truth; `called`: what it belongs to.
    """

    text: str
    part: str
    char_start: int
    char_end: int
    in_span: bool
    switched: bool
    called: str = ""

    @property
    def place(self) -> str:
        """Where it is: "answer", "question" or "context"; of another task what that calls it."""
        return self.called or ("answer" if self.in_span else self.part)


@dataclass(frozen=True)
class ShownText:
    """A question and its context, the span that is explained, and the words of the window.

    `off` is the token that replaces each token of a word that is switched off. Of an example of another task
    `question` is the first text of a pair, else empty, `context` the other one, and the text of `span` what
    the network says, in words: `says` is then `label` or `prediction`. `framed`: what the framed words are.
    """

    question: str
    context: str
    span: Span
    window: ExplainedWindow
    off: str
    words: tuple[ShownWord, ...]
    says: str = ANSWER
    framed: str = "the answer"

    @property
    def is_answer(self) -> bool:
        """Whether an answer is explained, a span with a start and an end, and not a label or a number."""
        return self.says == ANSWER

    @property
    def title(self) -> str:
        """The question; of another task all that was read."""
        if self.is_answer:
            return self.question
        return " / ".join(text for text in (self.question, self.context) if text)

    @property
    def unit(self) -> str:
        """What is switched, in a word: `word`, or `letter` where each is one."""
        is_letters = not self.is_answer and all(len(word.text) == 1 for word in self.words)
        return "letter" if is_letters else "word"

    @property
    def measure(self) -> str:
        """What the values are of, in a word."""
        return "prediction" if self.says == "prediction" else "logits"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Those of OUTPUTS that are explained; the one of another task is called `span`."""
        return OUTPUTS if self.is_answer else OUTPUTS[-1:]

    @property
    def quoted_span(self) -> str:
        """The span in quotation marks, or "no answer"."""
        return f"“{self.span.text or 'no answer'}”"

    @property
    def is_spaced(self) -> list[bool]:
        """By word, whether anything separates it from the word before it in the same text."""
        reached = {"question": 0, "context": 0}
        found = []
        for word in self.words:
            found.append(word.char_start > reached[word.part])
            reached[word.part] = word.char_end
        return found


@dataclass(frozen=True)
class WordValues:
    """What each word adds to the span's start logit, to its end logit, and to their sum (`span`).

    Of an example of another task there is no start and no end: `span` is what it adds to the label's logit,
    or to the number.
    """

    start: Values | None
    end: Values | None
    span: Values

    @property
    def is_answer(self) -> bool:
        """Whether they are of the span of an answer."""
        return self.start is not None

    def interval(self, unit: int) -> tuple[float | None, float | None]:
        """The 95 % interval of the span's value for the switched word number `unit`, if there is one."""
        return None, None


@dataclass(frozen=True)
class ErasureValues(WordValues):
    """Word erasure."""

    @property
    def caption(self) -> str:
        """The method's name."""
        return f"{NAMES['erasure']} (one word at a time)"


@dataclass(frozen=True)
class GradientValues(WordValues):
    """Integrated gradients; `error` by output: by which share the sum over words is off.

    `shuffles`: the mean over so many lines, each from the words in another order; 0: one line, from the text
    with all words off, as in files of earlier versions.
    """

    steps: int
    error: Values
    shuffles: int = 0

    @property
    def largest_error(self) -> float:
        """Over the outputs; infinite where there is nothing to share, but the sum is not 0."""
        return max(math.inf if error is None else error for error in self.error)

    @property
    def caption(self) -> str:
        """The method's name, its steps, and its largest error."""
        worst = 100 * self.largest_error
        each = f" from each of {self.shuffles} shuffles" if self.shuffles else ""
        return f"{NAMES['gradients']} ({self.steps} steps{each}, {worst:.1f} % of the sum missing)"

    @property
    def doubt(self) -> str | None:
        """Why not to rely on it, as one sentence; None where the sums are as exact as required."""
        if self.largest_error <= LARGEST_ERROR:
            return None
        return (
            f"Integrated gradients do not add up: their sum is off by {100 * self.largest_error:.0f} % "
            f"after {self.steps} steps."
        )


@dataclass(frozen=True)
class LimeValues(WordValues):
    """LIME, and how stable it is, among words besides the answer's.

    `low`, `high`: 95 % bootstrap intervals over masks of the span's values, by switched word. `r2`:
    weighted, on the masks of the fit, by output. `unseen_r2`, `overlap` and `correlation` compare repeats
    of `samples` masks each. `doubt`: why not to rely on it, as a sentence. `chance_overlap`: the
    expectation of `overlap` for random rankings; `stable_top`: see `ranking.stable_top`; its `tied` are
    numbers of words. Earlier versions wrote neither, and compared all words.
    """

    low: Values
    high: Values
    r2: Values
    unseen_r2: float | None
    overlap: float
    correlation: float | None
    samples: int
    doubt: str | None
    chance_overlap: float | None = None
    stable_top: StableTop | None = None

    @property
    def caption(self) -> str:
        """The method's name, and how stable it is."""
        r2 = "not a number" if self.unseen_r2 is None else f"{self.unseen_r2:.2f}"
        overlap = f"overlap of repeats {self.overlap:.2f}"
        if self.chance_overlap is not None:
            overlap += f", by chance {self.chance_overlap:.2f}"
        return f"{NAMES['lime']} (R² on unseen masks {r2}, {overlap})"

    @property
    def ranks(self) -> str | None:
        """Which top is stable and which ranks are tied, as a sentence; None in files of earlier versions."""
        if self.stable_top is None:
            return None
        known = ranks_sentence(self.stable_top, "repeats", "words")
        besides = "of the words besides the answer's: " if self.is_answer else ""
        return f"LIME, {besides}{known[0].lower()}{known[1:]}"

    def interval(self, unit: int) -> tuple[float | None, float | None]:
        """The bootstrap interval over masks."""
        return self.low[unit], self.high[unit]


# Of each method; a saved object is of the class that has its fields.
MethodValues = GradientValues | ErasureValues | LimeValues


@dataclass(frozen=True)
class Agreement:
    """How alike two methods rank words besides the answer's: Spearman's correlation and the top's overlap.

    `top_overlap` is a Jaccard index. `words`: so many are compared by the correlation, those that are
    strong by either method; `chance_overlap`: the expectation for random rankings. Earlier versions wrote
    neither, and compared all words.
    """

    methods: tuple[str, str]
    rank_correlation: float | None
    top_overlap: float
    words: int | None = None
    chance_overlap: float | None = None

    def sentence(self, top: int) -> str:
        """All of it; the top has so many words."""
        one, other = (NAMES[name] for name in self.methods)
        of = "" if self.words is None else f" of the {self.words} strongest words"
        chance = "" if self.chance_overlap is None else f" (by chance {self.chance_overlap:.2f})"
        return (
            f"{one} and {other}: rank correlation{of} {signed(self.rank_correlation)}, overlap of the "
            f"top {top} {self.top_overlap:.2f}{chance}"
        )


@dataclass(frozen=True)
class Curve:
    """Probability lost by the number of words, its area, and the share of random orders it beats."""

    curve: tuple[float, ...]
    area: float
    beats: float


@dataclass(frozen=True)
class Curves:
    """One method's curves.

    `comprehensiveness`: the probability lost with its first words off (large is faithful);
    `sufficiency`: with all but its first words off (small is faithful).
    """

    comprehensiveness: Curve
    sufficiency: Curve


@dataclass(frozen=True)
class Band:
    """Mean, lowest and highest of the random orders' curves at each count, and of their areas."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    area: tuple[float, float, float]


@dataclass(frozen=True)
class RandomOrders:
    """The bands of random orders of the words, which any method has to beat."""

    comprehensiveness: Band
    sufficiency: Band


@dataclass(frozen=True)
class Faithfulness:
    """Each method's curves over `counts` words, next to those of as many random `orders`.

    `answer_stays`: the answer's own words are always on and not counted, because no answer survives without
    them; false in files of earlier versions, which switched them off, too, and for "no answer".
    """

    counts: tuple[int, ...]
    orders: int
    methods: Mapping[str, Curves]
    random: RandomOrders
    answer_stays: bool = False

    def beaten(self, curve: Curve) -> int:
        """How many of the random orders a curve beats."""
        return round(curve.beats * self.orders)

    @property
    def doubts(self) -> list[str]:
        """Which methods are no more faithful than chance, and in which way, a sentence each."""
        if p_of_beaten(self.orders, self.orders) > LEVEL:
            return [
                f"There are only {self.orders} orders of {self.counts[-1]} words: no method can be shown to "
                "be more faithful than chance."
            ]
        return [
            f"{NAMES[name]} is no more faithful than chance in its {kind}: it beats {self.beaten(curve)} of "
            f"{self.orders} random orders (p {self._p_value(curve):.3f})."
            for name, curves in self.methods.items()
            for kind, curve in ((kind, getattr(curves, kind)) for kind in CURVES)
            if self._p_value(curve) > LEVEL
        ]

    def _p_value(self, curve: Curve) -> float:
        return p_of_beaten(self.beaten(curve), self.orders)


@dataclass(frozen=True)
class TopWord:
    """A word of a method's ranking, its value for the span, and the ends of its interval, if there is one."""

    word: ShownWord
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Saved:
    """A result that is a file of its own: its fields, with those of `text` among them."""

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values; equal for equal weights, text and seed on one machine."""
        document: dict[str, Any] = {}
        for name, value in asdict(self).items():
            document |= value if name == "text" else {name: value}
        return document

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_document(path, {"format": FORMAT} | self.as_json())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The result that was saved.

        Raises:
            ValueError: another kind of file, or one of another version.
        """
        # Files from before the format had a name are of the first one.
        document = read_document(path, FORMAT, unnamed=FORMAT)
        try:
            result: Self = restored(cls, document | {"text": document})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold an {cls.__name__}: {error}") from error
        return result


@dataclass(frozen=True)
class Attribution(_Saved):
    """The words that made one answer of a run.

    `answer` is empty for "no answer". `answer_probability` compares it with all spans of the text,
    `probability` with those of its window. `top` words of each method count as its strongest.
    """

    run: str
    checkpoint: str
    step: int | None
    answer: str
    answer_probability: float | None
    probability: float
    quantity: str
    text: ShownText
    methods: Mapping[str, MethodValues]
    agreement: tuple[Agreement, ...]
    faithfulness: Faithfulness
    warnings: tuple[str, ...]
    top: int
    seed: int

    @property
    def shuffles(self) -> int:
        """From so many shuffles of the words gradients were integrated; 0: from all words off."""
        found = self.methods.get("gradients")
        return found.shuffles if isinstance(found, GradientValues) else 0

    def top_words(self, method: str) -> list[TopWord]:
        """The `top` words that support the span most by one method, strongest first."""
        values = self.methods[method]
        switched = [(n, value) for n, value in enumerate(values.span) if value is not None]
        # Intervals are stored by switched word, values by word.
        shown = [
            TopWord(self.text.words[n], value, *values.interval(unit))
            for unit, (n, value) in enumerate(switched)
        ]
        return sorted(shown, key=lambda word: -word.value)[: self.top]


@dataclass(frozen=True)
class StepValues:
    """`WordValues` at each step: [step][word]."""

    start: tuple[Values, ...] | None
    end: tuple[Values, ...] | None
    span: tuple[Values, ...]


@dataclass(frozen=True)
class AttributionOverSteps(_Saved):
    """The words that carry what is true of a watched example, at each kept step of a training.

    Explained is the true span of a question, the true label, or the prediction, whatever the network says at
    a step. By step: `probability` of the span or the label, or the number; the largest `error` of integrated
    gradients, and LIME's `unseen_r2`, None without that method. `shuffles`: see `GradientValues`.
    """

    run: str
    question_id: str
    split: str
    answers: tuple[str, ...]
    quantity: str
    text: ShownText
    steps: tuple[int, ...]
    checkpoints: tuple[str, ...]
    probability: Values
    methods: Mapping[str, StepValues]
    error: Values
    unseen_r2: Values
    warnings: tuple[str, ...]
    seed: int
    shuffles: int = 0

    @property
    def truth(self) -> str:
        """What is true, in quotation marks where it is text; of a question the span, or "no answer"."""
        says = self.text.says
        return " / ".join(self.answers) if says == "prediction" else self.text.quoted_span

    @property
    def measured(self) -> str:
        """What `probability` is, in words."""
        if self.text.says == "prediction":
            return "prediction"
        return f"probability of the true {'span' if self.text.is_answer else 'label'}"


def strongest(rankings: Sequence[Any]) -> list[int]:
    """The indices of values that are at least LEAST_SHARE of the largest in any ranking; all if none is.

    >>> strongest([(2.0, 0.01, -0.5), (1.0, 0.06, 0.0)])
    [0, 1, 2]
    """
    most = [max(abs(float(value)) for value in row) or 1.0 for row in rankings]
    found = [
        index
        for index in range(len(rankings[0]))
        if any(
            abs(row[index]) >= LEAST_SHARE * peak for row, peak in zip(rankings, most, strict=True)
        )
    ]
    return found or list(range(len(rankings[0])))


def rounded(value: float) -> float:
    """A finite number with seven digits, which is what float32 holds."""
    return float(f"{value:.7g}")


def rounded_or_none(value: float | None) -> float | None:
    """A number with seven digits; None for NaN and the infinities, which JSON does not have."""
    return rounded(value) if value is not None and math.isfinite(value) else None


def all_rounded(values: Iterable[float]) -> Values:
    """`rounded_or_none` of each."""
    return tuple(rounded_or_none(float(value)) for value in values)


def number_text(value: float) -> str:
    """A number with three digits after the point, and a real minus."""
    return f"{value:.3f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """A number with its sign, a real minus; a dash for None."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")
