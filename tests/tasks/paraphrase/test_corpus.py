"""The built-in pairs: what words, their number and what sentences share say of them, which is nothing."""

import re
from collections import Counter

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from qa_research.tasks.paraphrase.corpus import entries_of, generate, source
from qa_research.tasks.paraphrase.pairs import Pair

# In percent: more than that no classifier may get right that does not read sentences as sentences.
MOST = 60.0
LISTS, ONLY_TO_TRAIN = source()["lists"], source()["only_to_train"]
# As in conf/data/pairs.yaml.
DEFAULT = ("thing", "mood", "act", "clock", "amount", "duration")


@pytest.fixture(scope="module")
def corpus():
    return generate(0, DEFAULT)


def words(text: str) -> list[str]:
    return re.findall(r"[\w:,'-]*\w", text.lower())


def shared(pairs: list[Pair]) -> np.ndarray:
    sets = [(set(words(pair.first)), set(words(pair.second))) for pair in pairs]
    return np.array(
        [[len(a & b), len(a | b), len(a & b) / len(a | b), len(a ^ b)] for a, b in sets]
    )


def lengths(pairs: list[Pair]) -> np.ndarray:
    both = [(len(words(pair.first)), len(words(pair.second))) for pair in pairs]
    letters = [(len(pair.first), len(pair.second)) for pair in pairs]
    return np.array([[a, b, abs(a - b), *own] for (a, b), own in zip(both, letters, strict=True)])


def bags(pairs: list[Pair], known: CountVectorizer):
    return [known.transform([getattr(p, side) for p in pairs]) for side in ("first", "second")]


def features(name: str, train: list[Pair], validation: list[Pair]):
    if name in ("shared", "lengths"):
        make = {"shared": shared, "lengths": lengths}[name]
        return make(train), make(validation)
    known = CountVectorizer(analyzer=words)
    known.fit([text for pair in train for text in (pair.first, pair.second)])
    if name == "bag of each":
        return tuple(hstack(bags(pairs, known)).tocsr() for pairs in (train, validation))
    return tuple(sum(bags(pairs, known)) for pairs in (train, validation))


@pytest.mark.parametrize("name", ["shared", "lengths", "bag of each", "bag of pair"])
def test_shallow_features_say_nothing_of_the_label(corpus, name):
    inputs, asked = features(name, *corpus)
    labels, truth = (np.array([pair.label for pair in pairs]) for pairs in corpus)
    for classifier in (
        LogisticRegression(max_iter=2000),
        RandomForestClassifier(30, min_samples_leaf=5, random_state=0),
    ):
        right = (classifier.fit(inputs, labels).predict(asked) == truth).mean()
        assert 100 * right <= MOST, (name, classifier)


def test_labels_and_kinds_are_balanced_and_no_pair_is_in_both_splits(corpus):
    for pairs in corpus:
        assert Counter(pair.label for pair in pairs) == {0: len(pairs) / 2, 1: len(pairs) / 2}
        by_kind = Counter((pair.kind, pair.label) for pair in pairs)
        assert all(by_kind[kind, 0] == by_kind[kind, 1] for kind, _ in by_kind)
        assert len({frozenset((pair.first, pair.second)) for pair in pairs}) == len(pairs)
    train, validation = ({frozenset((p.first, p.second)) for p in pairs} for pairs in corpus)
    assert not train & validation


def test_validation_has_words_of_its_own_in_every_pair(corpus):
    train, validation = corpus
    known = {word for pair in train for word in words(f"{pair.first} {pair.second}")}
    new = [set(words(f"{pair.first} {pair.second}")) - known for pair in validation]
    assert np.mean([bool(some) for some in new]) > 0.8


def test_what_is_only_trained_on_has_no_word_that_validates():
    def entries(name: str, split: str) -> list[set[str]]:
        shown = [e if isinstance(e, list) else [e] for e in entries_of(name, split)]
        return [set(words(" ".join(map(str, one)))) for one in shown]

    small = set(words("a the of on it is to in up off out and not"))
    kept = {word for name in LISTS for one in entries(name, "validation") for word in one} - small
    for name, added in ONLY_TO_TRAIN.items():
        assert all(entry in entries_of(name, "train") for entry in added)
        assert all(entry not in entries_of(name, "validation") for entry in added)
        assert not {word for one in added for word in words(" ".join(one))} & kept


def test_the_same_seed_makes_the_same_pairs():
    assert generate(3, DEFAULT) == generate(3, DEFAULT) != generate(4, DEFAULT)


def test_where_two_words_change_places_words_alone_say_nothing_at_all():
    train, validation = generate(0, ["roles", "trade", "preference"])
    assert {pair.kind for pair in validation} == {"roles", "trade", "preference"}
    for pair in (*train, *validation):
        other = Counter(words(pair.first)) - Counter(words(pair.second))
        assert sum(other.values()) < len(words(pair.first))
    inputs, asked = features("shared", train, validation)
    labels, truth = (np.array([pair.label for pair in pairs]) for pairs in (train, validation))
    right = (LogisticRegression().fit(inputs, labels).predict(asked) == truth).mean()
    assert 100 * right <= MOST


def test_a_kind_of_few_sentences_ends_when_there_are_no_others():
    train, validation = generate(0, ["state"])
    assert 20 < len(validation) < len(train) < 6_000
    assert len({frozenset((pair.first, pair.second)) for pair in train}) == len(train)


def test_sentences_are_whole_and_differ(corpus):
    for pair in [*corpus[0], *corpus[1]]:
        assert pair.first != pair.second
        for text in (pair.first, pair.second):
            assert re.fullmatch(r"[A-Z][^{}\[\]]*\.", text), text
