import numpy as np
import pytest

from qa_research.explain.words.figures import MOST_WORDS, ShownWord, shown_words, words_over_steps
from tests.figures.drawn import collisions, texts


def words_of(n):
    return [
        ShownWord(f"word{i}", "context" if i > 3 else "question", i == 5, True) for i in range(n)
    ]


@pytest.mark.parametrize(("n_words", "steps"), [(8, [90]), (40, list(range(0, 500, 10)))])
def test_nothing_on_the_map_overlaps(n_words, steps):
    values = np.random.default_rng(0).normal(size=(len(steps), n_words))
    figure = words_over_steps(
        "Who leads judo? - the words of “Dr Obi”",
        words_of(n_words),
        np.array(steps),
        {"gradients": values, "erasure": 3 * values},
        np.linspace(0, 1, len(steps)),
    )
    assert not collisions(figure)
    assert sum(text.startswith("word") for text, _ in texts(figure)) == n_words


def test_of_many_words_the_strongest_are_shown_and_that_is_said():
    n = MOST_WORDS + 30
    values = np.zeros((3, n))
    values[1, [7, n - 1]] = -5, 2
    assert shown_words({"a": values}, 2) == [7, n - 1]
    figure = words_over_steps("A question", words_of(n), np.arange(3), {"a": values}, np.zeros(3))
    shown = [text for text, _ in texts(figure)]
    assert f"(the {MOST_WORDS} strongest of {n} words)" in shown and "word7" in shown


def test_words_that_stay_have_no_strength():
    values = np.array([[np.nan, 1.0, 0.5]])
    assert shown_words({"a": values}, 2) == [1, 2]


def test_bad_input_is_refused():
    for steps, values in (([], {}), ([1], {"a": np.zeros((2, 8))}), ([1], {})):
        with pytest.raises(ValueError, match="with at least one step"):
            words_over_steps("Q", words_of(8), np.array(steps), values, np.zeros(len(steps)))
