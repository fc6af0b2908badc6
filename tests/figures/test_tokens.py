import pytest
from matplotlib.figure import Figure

from qa_research.figures.panels import COLOURS, drawable
from qa_research.figures.tokens import head_line, joined, label_tokens, window_of
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import logits, tokens

ODD = ["$5", "$", "_^{x}", "\\frac", "東京", "antidisestablishmentarianism"]


def labelled(n_tokens, inches, span=None, texts_of_window=None):
    recording = logits((n_tokens,), [0])
    if span:
        recording["true_first"][:], recording["true_last"][:] = span
    figure = Figure(figsize=(inches + 1, 3), layout="constrained")
    panel = figure.subplots()
    panel.set_xlim(-0.5, n_tokens - 0.5)
    label_tokens(panel.xaxis, window_of(recording, 0, texts_of_window or tokens(n_tokens)), inches)
    return figure, panel


def test_all_texts_are_shown_where_they_fit():
    figure, panel = labelled(60, 8)
    assert [label.get_text() for label in panel.get_xticklabels()] == tokens(60)
    assert not collisions(figure)


@pytest.mark.parametrize("span", [(0, 0), (150, 151), (200, 260), (382, 382)])
def test_where_they_do_not_fit_the_true_span_is_always_named_at_its_middle(span):
    figure, panel = labelled(384, 8, span)
    bold = [
        (place, label.get_text())
        for place, label in zip(panel.get_xticks(), panel.get_xticklabels(), strict=True)
        if label.get_fontweight() == "bold"
    ]
    text = " ".join(tokens(384)[span[0] : span[1] + 1])
    ((place, shown),) = bold
    assert place == sum(span) / 2
    assert shown == text if len(text) <= 16 else shown.endswith("…") and len(shown) <= 16
    others = {label.get_text(): label.get_color() for label in panel.get_xticklabels()}
    assert others["100"] == others["300"] == COLOURS[5] != others["[CLS]"]
    assert not collisions(figure)


def test_odd_tokens_are_drawn_as_they_are_written():
    window = tokens(24)
    window[12:18] = ODD
    figure, _ = labelled(24, 6, texts_of_window=window)
    shown = [text for text, _ in texts(figure)]
    for text in (*ODD[:4], "□□", "antidisestablis…"):
        assert text in shown


def test_word_pieces_are_joined_and_letters_without_a_glyph_are_squares():
    assert joined(["ms", "lu", "##nd", "'", "s"]) == "ms lund ' s"
    assert drawable("naïve 東") == "naïve □"


def test_a_long_question_takes_at_most_two_lines_of_the_title():
    window = tokens(30)
    window[1:9] = ["incomprehensibilities"] * 8
    figure = Figure(figsize=(6, 3))
    head_line(figure, window_of(logits((30,), [0]), 0, window), "layer 3")
    lines = [text for text, _ in texts(figure)]
    assert len(lines) == 3 and lines[1].endswith("…") and lines[2] == "layer 3"
    assert not collisions(figure)
