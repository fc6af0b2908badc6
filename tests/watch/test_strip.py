import random
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from qa_research.figures.panels import CORRECT, WRONG
from qa_research.watch.film import make_film
from qa_research.watch.strip import (
    MOST_TOKENS,
    chosen_captures,
    film_strip,
    shown_tokens,
)
from tests.watch.recordings import NOTICE, describe, make_logits

STEPS = list(range(0, 200, 10))


def film_of(row, jump=120, steps=STEPS):
    return make_film(row, 0, make_logits([row], steps, jump))


def long_row():
    words = random.Random(1).choices(
        ["Group", "crowns", "Monday", "meets", "barn", "in", "the"], k=300
    )
    return describe(context=" ".join([*words[:200], "Mr Birch", *words[200:]]))


def drawn(film):
    figure = film_strip(film)
    FigureCanvasAgg(figure).draw()
    return figure, figure.axes[0]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_strips_are_the_probabilities_of_the_chosen_captures():
    film = film_of(describe())
    _, strip = drawn(film)
    captures, tokens = chosen_captures(film), film.text.context_tokens
    assert len(strip.images) == 2 * len(captures)
    for row, capture in enumerate(captures):
        for image, values in zip(strip.images[2 * row :], (film.start, film.end), strict=False):
            np.testing.assert_array_equal(image.get_array()[0], values[capture][tokens])
            assert image.get_extent()[:2] == [tokens[0] - 0.5, tokens[-1] + 0.5]


def test_the_true_span_is_framed_in_every_row_and_named_below():
    film = film_of(describe())
    figure, strip = drawn(film)
    first, last = film.truth
    assert len(strip.patches) == len(chosen_captures(film))
    for frame in strip.patches:
        box = frame.get_bbox()
        assert (box.x0, box.x1) == (first - 0.5, last + 0.5) and box.height == 2
    bold = [label.get_text() for label in strip.get_xticklabels() if label.get_weight() == "bold"]
    assert bold == ["Mr", "Birch"]
    assert "framed: the true answer “Mr Birch”" in texts(figure)[-1]


def test_each_row_says_its_step_the_answer_and_whether_it_is_right():
    film = film_of(describe())
    figure, strip = drawn(film)
    captures = chosen_captures(film)
    labels = [text.get_text() for text in strip.texts]
    for row, capture in enumerate(captures):
        verdict = "right" if film.right[capture] else "wrong"
        assert labels[2 * row] == f"step {film.steps[capture]}: {verdict}"
        answer = film.answer_text(capture)
        assert labels[2 * row + 1].startswith(f"“{answer}”") and labels[2 * row + 1].endswith(" %")
        assert to_hex(strip.lines[row].get_color()) == (CORRECT if film.right[capture] else WRONG)
        first, last = film.answers[capture]
        assert list(strip.lines[row].get_xdata()) == [first - 0.4, last + 0.4]
    assert film.outcome in texts(figure)[-1].replace("\n", " ")


def test_the_captures_include_the_moment_the_answer_becomes_right_and_both_ends():
    film = film_of(describe())
    chosen = chosen_captures(film)
    assert len(chosen) == 6 and chosen == sorted(set(chosen))
    assert {0, film.settled - 1, film.settled, len(STEPS) - 1} <= set(chosen)
    right = np.zeros(len(STEPS), dtype=bool)
    assert chosen_captures(replace(film, right=right)) == [0, 4, 8, 11, 15, 19]
    right[7] = True
    assert {6, 7} <= set(chosen_captures(replace(film, right=right)))
    assert chosen_captures(film_of(describe(), steps=[0])) == [0]
    assert chosen_captures(film_of(describe(), steps=[0, 10, 20])) == [0, 1, 2]


def test_of_a_long_context_the_part_around_the_true_span_is_shown_and_said():
    film = film_of(long_row())
    tokens = shown_tokens(film, chosen_captures(film))
    assert len(tokens) == MOST_TOKENS and film.truth[0] in tokens and film.truth[1] in tokens
    figure, strip = drawn(film)
    assert len(strip.get_xticklabels()) == MOST_TOKENS
    assert (
        f"{MOST_TOKENS} of the context's {len(film.text.context_tokens)} tokens"
        in texts(figure)[-1]
    )


@pytest.mark.parametrize(("distance", "is_shown"), [(50, True), (70, False)])
def test_an_answer_near_the_true_span_is_shown_and_a_far_one_is_counted(distance, is_shown):
    film = film_of(long_row(), steps=[0, 10])
    place = film.truth[0] - distance
    film = replace(
        film, answers=np.array([[place, place + 1], film.truth]), right=np.array([False, True])
    )
    assert (place in shown_tokens(film, [0, 1])) == is_shown
    figure, _ = drawn(film)
    assert ("1 of 2 answers are outside" in texts(figure)[-1]) != is_shown


def test_the_shown_tokens_stay_inside_a_long_context():
    film = film_of(long_row())
    context = film.text.context_tokens
    for first in (context[0], context[-1]):
        at_edge = replace(film, truth=(first, first), answers=np.full((len(STEPS), 2), first))
        tokens = shown_tokens(at_edge, chosen_captures(at_edge))
        assert len(tokens) == MOST_TOKENS and first in tokens and set(tokens) <= set(context)


def test_a_question_without_an_answer_has_no_frame():
    figure, strip = drawn(film_of(describe(answer=None), steps=[0, 10]))
    assert not strip.patches and "the question has no answer in this context" in texts(figure)[-1]
    lost = replace(film_of(describe(), steps=[0, 10]), truth=(0, 0))
    figure, strip = drawn(lost)
    assert not strip.patches and "“Mr Birch” is not in this window" in texts(figure)[-1]


def test_dollar_signs_are_not_formulas():
    row = describe(r"What costs $\frac{$ or $x$?", context=NOTICE + r" $\undefined{$ too.")
    _, strip = drawn(film_of(row, steps=[0, 10]))
    assert strip.get_title(loc="left") == r"What costs $\frac{$ or $x$?"


def test_a_diverged_capture_is_drawn_empty_and_named():
    film = film_of(describe(), steps=[0, 10])
    film.start[1], film.end[1], film.answer_probability[1] = np.nan, np.nan, np.nan
    film.answers[1], film.right[1] = 0, False
    figure, strip = drawn(film)
    assert "“no answer”  probability not a number" in texts(figure)
    assert np.ma.getmaskarray(strip.images[2].get_array()).all()


def test_a_window_without_context_is_refused():
    film = film_of(describe())
    film = replace(film, text=replace(film.text, parts=("cls",) * len(film.text)))
    with pytest.raises(ValueError, match="contains nothing of its context"):
        film_strip(film)
