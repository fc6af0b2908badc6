"""Examples that are alike by their words."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qa_research.interventions.influence.similar import similar_to, text_scores, words_of
from qa_research.tasks.watching import Outputs, Watched, WatchedExample

EXAMPLES = (
    ["who", "teaches", "group", "b"],
    ["where", "is", "group", "b"],
    ["who", "teaches", "group", "k"],
    ["when", "is", "lunch"],
)


def test_rare_words_count_more_than_common_ones():
    (found,) = text_scores([["who", "teaches", "group", "k"]], EXAMPLES)
    assert np.argsort(-found, kind="stable").tolist()[:2] == [2, 0]
    assert found[3] == 0


def test_words_that_no_example_has_count_nothing():
    found = text_scores([["zebra"], ["zebra", "lunch"], []], EXAMPLES)
    assert not found[0].any() and not found[2].any()
    assert np.flatnonzero(found[1]).tolist() == [3]


def test_it_is_bm25():
    """By hand: idf ln(1 + (N - n + 0.5) / (n + 0.5)) times f / (f + k1 (1 - b + b length / mean))."""
    (found,) = text_scores([["lunch", "b"]], EXAMPLES)
    mean = 15 / 4
    of_lunch = np.log(1 + (4 - 1 + 0.5) / 1.5) / (1 + 1.5 * (0.25 + 0.75 * 3 / mean))
    of_b = np.log(1 + (4 - 2 + 0.5) / 2.5) / (1 + 1.5 * (0.25 + 0.75 * 4 / mean))
    assert np.allclose(found, [of_b, of_b, 0, of_lunch], rtol=1e-5)


def read(heading, text, chars, words=()):
    """An example of which the network reads these characters."""
    tokens = tuple(text[start:end] for start, end in chars)
    example = WatchedExample(
        "q1", "train", "", "", heading, text, (), tokens, ("text",) * len(chars), chars, (), words
    )
    outputs = Outputs("number", ("prediction",), torch.zeros(1), lambda output: output)
    mask = torch.ones(1, len(chars), dtype=torch.bool)
    return Watched((example,), {}, mask, ("padding", "text"), outputs)


def test_words_are_of_the_heading_and_of_what_is_read():
    chars = ((0, 0), (0, 2), (2, 4), (5, 8), (0, 0))
    watched = read("Who is it?", "Anna ran", chars, words=(-1, 0, 0, 1, -1))
    assert words_of(watched) == ["who", "is", "it", "anna", "ran"]


def test_letters_are_taken_three_in_a_row():
    chars = tuple((i, i + 1) for i in range(5))
    assert words_of(read("", "ACGTA", chars)) == ["acg", "cgt", "gta"]


class Opened:
    """A run of one-word examples, whose ids are their words with a number."""

    examples = "questions"

    def __init__(self, *names):
        self.names = names

    def own(self, split):
        return SimpleNamespace(rows=self.names if split == "train" else ())

    def told(self, name):
        return SimpleNamespace(id=name)

    def watched(self, names):
        (name,) = names
        word = name.rstrip("0123456789")
        return read(word, "", ())


def test_examples_that_share_no_word_are_not_alike():
    opened = Opened("lunch1", "torch1", "lunch2", "jar1", "lunch3", "rope1")
    assert similar_to(opened, "lunch2", 2) == ["lunch1", "lunch3"]
    assert similar_to(opened, "lunch2", 1, among=["torch1", "lunch3"]) == ["lunch3"]
    with pytest.raises(
        ValueError, match="--similar 3: only 2 other training questions share a word with lunch2"
    ):
        similar_to(opened, "lunch2", 3)
    with pytest.raises(ValueError, match="--similar 6: there are only 5 other training questions"):
        similar_to(opened, "lunch2", 6)
