import numpy as np
import pytest
from matplotlib.figure import Figure

from qa_research.explain.words.figures import (
    Band,
    Sheet,
    ShownWord,
    coloured_text,
    faithfulness_panel,
    n_lines,
    places_of,
    word_sheet,
)
from tests.figures.drawn import collisions, texts


def words_of(question, context, span=()):
    return [
        *(ShownWord(text, "question", False, True) for text in question.split()),
        *(ShownWord(text, "context", text in span, text != ",") for text in context.split()),
    ]


def sheet_of(words, n_methods=3, **change):
    names = ("gradients", "erasure", "lime")[:n_methods]
    curve = np.array([0.0, 0.5, 0.7, 0.9])
    band = Band(curve / 2, curve / 4, curve)
    values = np.linspace(-1, 2, len(words))
    parts = {
        "title": "Who leads judo?",
        "quantity": "Explained is the answered span.",
        "words": words,
        "values": dict.fromkeys(names, values),
        "captions": {name: f"Method {name}" for name in names},
        "counts": np.array([0, 1, 2, len(words)]),
        "comprehensiveness": dict.fromkeys(names, curve),
        "sufficiency": dict.fromkeys(names, curve),
        "random": (band, band),
        "notes": ["LIME cannot be believed here: its R2 is low."],
    }
    return Sheet(**(parts | change))


def test_words_stand_in_lines_and_the_context_begins_one():
    words = words_of("Who leads ?", "Dr Obi , and more")
    placed = places_of(words, 12)
    assert [(p.line, p.column) for p in placed] == [
        *((0, 0), (0, 4), (0, 10)),
        *((1, 0), (1, 3), (1, 6), (1, 8), (2, 0)),
    ]
    assert n_lines(words, 12) == 3 and n_lines([], 12) == 0


def test_a_word_longer_than_a_line_is_cut():
    (place,) = places_of([ShownWord("a" * 90, "context", False, True)], 20)
    assert len(place.text) == 20 and place.text.endswith("…")


@pytest.mark.parametrize("n_methods", [1, 3])
def test_nothing_on_a_sheet_overlaps(n_methods):
    words = words_of(
        "Who leads judo ?", "Judo is on Monday . Dr Obi leads it . " * 12, ("Dr", "Obi")
    )
    figure = word_sheet(sheet_of(words, n_methods))
    assert not collisions(figure)
    shown = [text for text, _ in texts(figure)]
    assert shown.count("Monday") == 12 * n_methods
    assert any("cannot be believed" in text for text in shown)


def test_each_word_has_the_colour_of_its_value_and_words_that_stay_have_none():
    figure = Figure()
    axes = figure.subplots()
    words = words_of("", "a b c d", ("d",))
    coloured_text(axes, words, np.array([2.0, -2.0, 0.0, np.nan]), 40)
    fills = [patch.get_facecolor() for patch in axes.patches if patch.get_fill()]
    frames = [patch for patch in axes.patches if not patch.get_fill()]
    assert fills[0][2] > fills[0][0] and fills[1][0] > fills[1][2]
    assert fills[2][:3] == fills[3][:3] and min(fills[2]) > 0.99 and len(frames) == 1
    assert len(axes.lines) == 1


def test_odd_text_is_drawn_as_it_is(recwarn):
    words = words_of("$x^2$ 谁 ?", "a_b $\\frac{1}$ 日本 \U0001f600")
    assert not collisions(word_sheet(sheet_of(words)))
    assert not recwarn.list


def test_bad_input_is_refused():
    axes = Figure().subplots()
    with pytest.raises(ValueError, match="2 words need as many values, got 3"):
        coloured_text(axes, words_of("", "a b"), np.zeros(3), 40)
    with pytest.raises(ValueError, match="no words"):
        word_sheet(sheet_of([]))
    curve = np.zeros(2)
    many = {str(i): curve for i in range(4)}
    with pytest.raises(ValueError, match="line styles"):
        faithfulness_panel(axes, np.array([0, 1]), many, Band(curve, curve, curve))
