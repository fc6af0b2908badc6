from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from qa_research.explain.words.figures import (
    coloured_text,
    draw_curves,
    n_lines,
    places_of,
    words_over_steps,
)
from qa_research.explain.words.result import CURVES, NAMES, Band, Curve, Curves, RandomOrders
from qa_research.explain.words.sheet import word_sheet
from tests.explain.words.attributions import an_attribution, faithfulness_of, over_steps, text_of
from tests.figures.drawn import collisions, texts


def test_words_are_in_lines_and_the_context_starts_one():
    text = text_of("Who leads?", "Dr Obi, and more")
    placed = places_of(text, 12)
    assert [(p.text, p.line, p.column) for p in placed] == [
        ("Who", 0, 0),
        ("leads", 0, 4),
        ("?", 0, 9),
        ("Dr", 1, 0),
        ("Obi", 1, 3),
        (",", 1, 6),
        ("and", 1, 8),
        ("more", 2, 0),
    ]
    assert n_lines(text, 12) == 3 and n_lines(replace(text, words=()), 12) == 0


def test_a_word_longer_than_a_line_is_shortened():
    text = text_of("a" * 90, "Dr Obi")
    place = places_of(text, 20)[0]
    assert len(place.text) == 20 and place.text.endswith("…")


@pytest.mark.parametrize("names", [("lime",), ("gradients", "erasure", "lime")])
def test_nothing_on_a_sheet_overlaps(names):
    text = text_of("Who leads judo ?", "Judo is on Monday . Dr Obi leads it . " * 12)
    warnings = ("LIME is not reliable here: its R2 is low.",)
    figure = word_sheet(an_attribution(text, names, warnings=warnings))
    assert not collisions(figure)
    shown = [text for text, _ in texts(figure)]
    assert shown.count("Monday") == 12 * len(names)
    assert any("is not reliable" in text for text in shown)


def test_each_word_has_the_colour_of_its_value_and_words_that_stay_have_none():
    axes = Figure().subplots()
    text = text_of("b c a", "d", "d")
    coloured_text(axes, text, (2.0, -2.0, 0.0, None), 40)
    fills = [patch.get_facecolor() for patch in axes.patches if patch.get_fill()]
    frames = [patch for patch in axes.patches if not patch.get_fill()]
    assert fills[0][2] > fills[0][0] and fills[1][0] > fills[1][2]
    assert fills[2][:3] == fills[3][:3] and min(fills[2]) > 0.99 and len(frames) == 1
    assert len(axes.lines) == 1
    assert [label.get_color() for label in axes.texts] == ["white", "white", "black", "#888888"]


def test_a_method_looks_the_same_whichever_others_are_drawn():
    def look(names):
        axes = Figure().subplots()
        draw_curves(axes, faithfulness_of(9, names), "sufficiency")
        (line,) = [line for line in axes.lines if line.get_label() == NAMES["lime"]]
        return line.get_color(), line.get_linestyle(), line.get_marker()

    assert look(("lime",)) == look(("gradients", "erasure", "lime"))


def test_curves_that_have_nothing_to_lose_are_flat():
    found = faithfulness_of(9, ("lime",))
    curve = Curve((0.0, 0.001, 0.002), 0.001, 1.0)
    band = Band((0.0, 0.0, 0.002), (0.0, 0.0, 0.002), (0.0, 0.001, 0.002), (0.0, 0.0, 0.001))
    small = replace(found, methods={"lime": Curves(curve, curve)}, random=RandomOrders(band, band))
    axes = Figure().subplots(1, 2)
    for panel, kind in zip(axes, CURVES, strict=True):
        draw_curves(panel, small, kind)
    assert axes[0].get_ylim() == axes[1].get_ylim() == pytest.approx((-0.005, 0.105))


def test_odd_text_is_drawn_as_it_is(recwarn):
    text = text_of("$x^2$ 谁 ?", "a_b $\\frac{1}$ 日本 \U0001f600", "a_b")
    assert not collisions(word_sheet(an_attribution(text, warnings=("谁 $x$ is new.",))))
    assert not collisions(words_over_steps(over_steps(text)))
    assert not recwarn.list


def test_bad_input_is_refused():
    axes = Figure().subplots()
    text = text_of("a", "b", "b")
    with pytest.raises(ValueError, match="2 words need as many values, got 3"):
        coloured_text(axes, text, (0.0, 0.0, 0.0), 40)
    with pytest.raises(ValueError, match="no words"):
        word_sheet(an_attribution(replace(text, words=())))
