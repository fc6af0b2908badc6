"""How far two sets of questions are apart: their lengths, their words, and whether a classifier can tell.

Everything stands beside what it would be by chance: the contexts of both sets, with their questions, are
divided at random into two sets as large as these, again and again. Two halves of one set differ, too, by the
words that happen to be rare.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.stats import entropy, ks_2samp
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from qa_research.console import tracked
from qa_research.stats import CONFIDENCE
from qa_research.streams import stream
from qa_research.tasks.answering.question import Question
from qa_research.text import plural, print_line

PLACES = ("question", "context", "first answer")
# Of a classifier; and the random divisions that show what chance does.
FOLDS, DIVISIONS, RESAMPLES = 5, 99, 400
# A classifier is trained anew for each division, so for fewer: the largest of 19 is below 95 % of others.
CLASSIFIED = 19
# It reads no more contexts of a set, drawn at random, with their questions: more would take minutes.
MOST_CONTEXTS = 1_000
# Fewer contexts than this cannot be divided into folds that mean anything.
FEWEST_CONTEXTS = 4 * FOLDS
WORD = r"(?u)\b\w+\b"


@dataclass(frozen=True, slots=True)
class Measured:
    """A distance between the two sets, and what 95 % of random divisions stay below."""

    value: float
    chance: float

    @property
    def is_more_than_chance(self) -> bool:
        """Whether it is larger than in 95 % of random divisions."""
        return self.value > self.chance


@dataclass(frozen=True, slots=True)
class LengthShift:
    """Words of a text: both medians, and the Kolmogorov-Smirnov distance of the distributions, in [0, 1]."""

    medians: tuple[float, float]
    distance: Measured


@dataclass(frozen=True, slots=True)
class WordShift:
    """How differently words are used, in bits, and how many words the first set does not have.

    `kl`: Kullback-Leibler divergence of the second set from the first, what a word of the second set costs
    more if it is coded by the frequencies of the first (half a word is added to each count). `js`:
    Jensen-Shannon divergence, in [0, 1]. `unseen`: the share of the second set's words, counted as often as
    they occur, that never occur in the first.
    """

    kl: Measured
    js: Measured
    unseen: Measured


@dataclass(frozen=True, slots=True)
class Told:
    """Area under the ROC curve of a classifier that tells the sets apart, with its 95 % interval.

    0.5: it cannot; 1: always. Each of the `texts` is judged by a classifier that saw no text of its context.
    `chance`: what 95 % of random divisions stay below; it is not 0.5, as few texts are told apart by luck.
    """

    texts: int
    auc: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True)
class Shift:
    """Two sets of questions side by side; `told`: by place, None where there are too few contexts."""

    names: tuple[str, str]
    questions: tuple[int, int]
    contexts: tuple[int, int]
    shared_contexts: int
    lengths: dict[str, LengthShift]
    words: dict[str, WordShift]
    told: dict[str, Told | None]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Texts:
    """The texts of one place in both sets.

    `unit`: which context of which set a text belongs to. `context`: which one, the same in both sets.
    """

    texts: list[str]
    unit: Int[ndarray, " text"]
    context: Int[ndarray, " text"]

    def of_second(self, is_second: Bool[ndarray, " unit"]) -> Bool[ndarray, " text"]:
        """Which texts belong to the second set, if these units do."""
        found: Bool[ndarray, " text"] = is_second[self.unit]
        return found

    def only(self, is_kept: Bool[ndarray, " unit"]) -> "_Texts":
        """Those of some units."""
        kept = np.flatnonzero(is_kept[self.unit])
        texts = [self.texts[place] for place in kept]
        return _Texts(texts, self.unit[kept], self.context[kept])


def shift(names: tuple[str, str], sets: tuple[Sequence[Question], Sequence[Question]]) -> Shift:
    """Measure how far the second set is from the first; shows progress if it takes long.

    Raises:
        ValueError: one of them has no questions.
    """
    for name, rows in zip(names, sets, strict=True):
        if not rows:
            raise ValueError(f"{name} has no questions")
    contexts = tuple(list(dict.fromkeys(row.context for row in rows)) for rows in sets)
    is_second = np.repeat([False, True], [len(some) for some in contexts])
    places = _places(sets, contexts)
    divisions = list(_divisions(is_second))
    told: dict[str, Told | None] = dict.fromkeys(("question", "context"))
    if min(map(len, contexts)) >= FEWEST_CONTEXTS:
        some = _drawn(is_second)
        told |= {
            place: _told(places[place].only(some), is_second)
            for place in tracked([*told], "Classifying")
        }
    return Shift(
        names=names,
        questions=(len(sets[0]), len(sets[1])),
        contexts=(len(contexts[0]), len(contexts[1])),
        shared_contexts=len(set(contexts[0]) & set(contexts[1])),
        lengths={name: _lengths(texts, is_second, divisions) for name, texts in places.items()},
        words={name: _words(places[name], is_second, divisions) for name in told},
        told=told,
    )


def _places(
    sets: tuple[Sequence[Question], Sequence[Question]], contexts: tuple[list[str], ...]
) -> dict[str, _Texts]:
    """The texts by place: a context once for each set that has it, questions and answers all."""
    questions, answers, units, of_answers, first = [], [], [], [], 0
    for rows, known in zip(sets, contexts, strict=True):
        numbers = {text: first + place for place, text in enumerate(known)}
        first += len(known)
        for row in rows:
            questions.append(row.question)
            units.append(numbers[row.context])
            if row.answers:
                answers.append(row.answers[0].text)
                of_answers.append(numbers[row.context])
    every = [text for known in contexts for text in known]
    number = {text: place for place, text in enumerate(dict.fromkeys(every))}
    same = np.array([number[text] for text in every])
    found = {
        "question": _Texts(questions, np.array(units), same[units]),
        "context": _Texts(every, np.arange(len(every)), same),
    }
    # Sets without answers, on either side, have no lengths of them.
    if {unit < len(contexts[0]) for unit in of_answers} == {True, False}:
        found["first answer"] = _Texts(answers, np.array(of_answers), same[of_answers])
    return found


def _divisions(is_second: Bool[ndarray, " unit"]) -> Iterator[Bool[ndarray, " unit"]]:
    """Random divisions of the units into sets as large as the given ones."""
    generator = stream(0, "divisions of questions")
    for _ in range(DIVISIONS):
        yield generator.permutation(is_second)


def _drawn(is_second: Bool[ndarray, " unit"]) -> Bool[ndarray, " unit"]:
    """At most MOST_CONTEXTS units of each set, at random."""
    generator = stream(0, "contexts to classify")
    kept = np.zeros(len(is_second), dtype=bool)
    for of_set in (is_second, ~is_second):
        kept[generator.permutation(np.flatnonzero(of_set))[:MOST_CONTEXTS]] = True
    return kept


def _beyond(values: Sequence[float]) -> float:
    return float(np.quantile(values, CONFIDENCE))


def _lengths(
    texts: _Texts, is_second: Bool[ndarray, " unit"], divisions: Sequence[Bool[ndarray, " unit"]]
) -> LengthShift:
    lengths = np.array([len(text.split()) for text in texts.texts])

    def distance(second: Bool[ndarray, " unit"]) -> float:
        of_second = texts.of_second(second)
        if of_second.all() or not of_second.any():
            return 0.0
        return float(ks_2samp(lengths[~of_second], lengths[of_second], method="asymp").statistic)

    of_second = texts.of_second(is_second)
    medians = tuple(float(np.median(lengths[part])) for part in (~of_second, of_second))
    chance = _beyond([distance(division) for division in divisions])
    return LengthShift((medians[0], medians[1]), Measured(distance(is_second), chance))


def _words(
    texts: _Texts, is_second: Bool[ndarray, " unit"], divisions: Sequence[Bool[ndarray, " unit"]]
) -> WordShift:
    try:
        counts = CountVectorizer(token_pattern=WORD).fit_transform(texts.texts)
    except ValueError:
        # sklearn's way to say that there is not a single word.
        return WordShift(*(Measured(0.0, 0.0) for _ in range(3)))

    def distances(second: Bool[ndarray, " unit"]) -> tuple[float, float, float]:
        of_second = texts.of_second(second)
        ours, theirs = (
            np.asarray(counts[np.flatnonzero(part)].sum(axis=0), dtype=np.float64).ravel()
            for part in (~of_second, of_second)
        )
        return divergences(ours, theirs)

    found = distances(is_second)
    by_chance = zip(*(distances(division) for division in divisions), strict=True)
    return WordShift(
        *(Measured(value, _beyond(chance)) for value, chance in zip(found, by_chance, strict=True))
    )


def divergences(
    first: Float[ndarray, " word"], second: Float[ndarray, " word"]
) -> tuple[float, float, float]:
    """KL of the second from the first and JS, in bits, and the share of the second that the first lacks.

    Example: counts 3 1 0 and 1 1 2. With half a word more each, 3.5 1.5 0.5 and 1.5 1.5 2.5 of 5.5: KL =
    0.273 log2(0.429) + 0 + 0.455 log2(5) = 0.722. JS, of 0.75 0.25 0 and 0.25 0.25 0.5 with their mean 0.5
    0.25 0.25: (0.75 log2(1.5) + 0.25 log2(0.5) + 0.5 log2(2)) / 2 = 0.344. Half of the second's words are
    unseen.

    Source: Lin 1991, IEEE Transactions on Information Theory 37, for JS.
    """
    if not first.sum() or not second.sum():
        return 0.0, 0.0, 0.0
    kl = float(entropy(second + 0.5, first + 0.5, base=2))
    ours, theirs = first / first.sum(), second / second.sum()
    middle = (ours + theirs) / 2
    js = float(entropy(ours, middle, base=2) + entropy(theirs, middle, base=2)) / 2
    return kl, js, float(theirs[first == 0].sum())


def _told(texts: _Texts, is_second: Bool[ndarray, " unit"]) -> Told:
    """The AUC over all texts, of classifiers that saw nothing of the text's context, in either set."""
    vectors = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True)
    try:
        features = vectors.fit_transform(texts.texts)
    except ValueError:
        # sklearn's way to say that no word is left.
        return Told(len(texts.texts), 0.5, 0.5, 0.5, 0.5)
    of_second = texts.of_second(is_second)
    scores = _scores(features, of_second, texts.context)
    low, high = _resampled(of_second, scores, texts.context)
    generator = stream(0, "labels of contexts")
    # Units that are not among these texts keep their places.
    units = np.unique(texts.unit)
    by_chance = []
    for _ in range(CLASSIFIED):
        division = is_second.copy()
        division[units] = generator.permutation(is_second[units])
        labels = texts.of_second(division)
        by_chance.append(roc_auc_score(labels, _scores(features, labels, texts.context)))
    auc = float(roc_auc_score(of_second, scores))
    return Told(len(scores), auc, low, high, float(max(by_chance)))


def _scores(
    features: Any, of_second: Bool[ndarray, " text"], context: Int[ndarray, " text"]
) -> Float[ndarray, " text"]:
    """How much each text looks like one of the second set, to a classifier that did not see its context."""
    scores = np.zeros(len(of_second))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(scores, of_second, context):
        model = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear", tol=1e-2)
        model.fit(features[train], of_second[train])
        scores[test] = model.decision_function(features[test])
    return scores


def _resampled(
    of_second: Bool[ndarray, " text"],
    scores: Float[ndarray, " text"],
    context: Int[ndarray, " text"],
) -> tuple[float, float]:
    """The ends of a 95 % interval of the AUC over other contexts."""
    generator = stream(0, "intervals of a classifier")
    _, place = np.unique(context, return_inverse=True)
    found = []
    for _ in range(RESAMPLES):
        weights = generator.standard_exponential(place.max() + 1)[place]
        found.append(roc_auc_score(of_second, scores, sample_weight=weights))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def show_shift(found: Shift) -> None:
    """Print what tells the sets apart, then tables of lengths and words."""
    first, second = found.names
    for line in sentences(found):
        print_line(line)
    print_line(f"\n{'words in a':<14}{'median':>8}{'then':>8}{'distance':>10}   by chance below")
    for name, length in found.lengths.items():
        one, other = length.medians
        print_line(f"{name:<14}{one:>8g}{other:>8g}{_measured(length.distance)}")
    print_line(f"\n{'words of all':<14}{'':>16}{'distance':>10}   by chance below")
    for name, words in found.words.items():
        for label, measured in (
            ("KL, bits", words.kl),
            ("JS, bits", words.js),
            ("unseen", words.unseen),
        ):
            print_line(f"{f'{name}s':<14}{label:>16}{_measured(measured)}")
    print_line(f"\nfirst: {first}; then: {second}")
    print_line(
        f"by chance: {DIVISIONS} times the contexts are divided at random into two sets as large, "
        f"{CLASSIFIED} times for a classifier; {100 * CONFIDENCE:.0f} % stay below. A star is more"
    )


def sentences(found: Shift) -> list[str]:
    """What the sets are, and how well a classifier tells them apart."""
    (one, other), (one_contexts, other_contexts) = found.questions, found.contexts
    said = [
        f"{found.names[0]}: {plural(one, 'question')}, {plural(one_contexts, 'context')}; "
        f"{found.names[1]}: {plural(other, 'question')}, {plural(other_contexts, 'context')}"
        + (f"; {plural(found.shared_contexts, 'context')} in both" if found.shared_contexts else "")
    ]
    for place, told in found.told.items():
        if told is None:
            said.append(
                f"No classifier of {place}s: a set has fewer than {FEWEST_CONTEXTS} contexts"
            )
            continue
        can = "tells" if told.auc > told.chance else "does not tell"
        said.append(
            f"A classifier {can} the {place}s apart: AUC {told.auc:.2f} [{told.low:.2f}, {told.high:.2f}] "
            f"over {told.texts:,} of them; by chance below {told.chance:.2f}"
        )
    return said


def _measured(found: Measured) -> str:
    star = " *" if found.is_more_than_chance else ""
    return f"{found.value:>10.3f}{found.chance:>18.3f}{star}"
