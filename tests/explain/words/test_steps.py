import numpy as np
import pytest

from qa_research.explain.words.figures import MOST_WORDS, strongest_words, words_over_steps
from tests.explain.words.attributions import over_steps, text_of
from tests.figures.drawn import collisions, texts


def words(n):
    return " ".join(f"word{i}" for i in range(n))


@pytest.mark.parametrize(("n_words", "steps"), [(8, [90]), (40, list(range(10, 510, 10)))])
def test_nothing_on_the_map_overlaps(n_words, steps):
    result = over_steps(text_of("Who?", words(n_words), "word2"), steps)
    figure = words_over_steps(result)
    assert not collisions(figure)
    shown = [text for text, _ in texts(figure)]
    assert sum(text.startswith("word") for text in shown) == n_words
    assert "Who? – the words of “word2”" in shown


def test_of_many_words_the_strongest_are_shown_and_the_title_says_so():
    n = MOST_WORDS + 30
    values = np.zeros((3, n))
    values[1, [7, n - 1]] = -5, 2
    assert strongest_words({"a": values}, 2) == [7, n - 1]
    result = over_steps(text_of("Who?", words(n), "word2"))
    shown = [text for text, _ in texts(words_over_steps(result))]
    # The question has two words.
    assert f"(the {MOST_WORDS} strongest of {n + 2} words)" in shown
    # Values grow from the first word to the last, so the middle ones are the weakest.
    assert "word89" in shown and "word45" not in shown


def test_words_that_stay_have_no_strength():
    values = np.array([[np.nan, 1.0, 0.5]])
    assert strongest_words({"a": values}, 2) == [1, 2]


def test_no_answer_is_named_in_the_title():
    text = text_of("Who?", words(4), "")
    shown = [text for text, _ in texts(words_over_steps(over_steps(text)))]
    assert "Who? – the words of “no answer”" in shown
