import pytest

from qa_research.explain.images.panels import figures_of
from qa_research.explain.images.sentences import CAPTIONS, VERDICT_COLOURS
from qa_research.explain.images.sheet import explanation_sheet
from tests.explain.images.explanations import loaded
from tests.figures.drawn import collisions, texts

HOSTILE = '</script><b>"x"</b> & $a$ \u732b \u2028'
DOUBT = "Ranks 2 and 3 cannot be distinguished; segments 1, 2 are tied."


def texts_of(figure):
    return [text for text, _ in texts(figure)]


def test_the_sheet_says_verdict_doubts_class_and_controls(tmp_path):
    sheet = explanation_sheet(loaded(tmp_path, word="doubtful", doubts=[DOUBT]))
    shown = texts_of(sheet)
    assert {"DOUBTFUL", "coffee: espresso (90 %)", f"• {DOUBT}", "ridge, R² 0.87"} <= set(shown)
    assert "It has 16 bits: read as 8." in shown
    assert "cup at first: place 2, 6.0 %" in shown
    assert any(line.endswith("(p 0.167; it cannot be below 0.167 with so few).") for line in shown)
    verdict = next(t for sub in sheet.subfigs for t in sub.texts if t.get_text() == "DOUBTFUL")
    assert verdict.get_bbox_patch().get_facecolor()[:3] == pytest.approx(
        tuple(int(VERDICT_COLOURS["doubtful"][i : i + 2], 16) / 255 for i in (1, 3, 5)), abs=1e-6
    )
    assert collisions(sheet) == []


def test_a_sheet_without_seeds_curves_and_counterfactual_says_so(tmp_path):
    sheet = explanation_sheet(loaded(tmp_path, exact=True, curves=False, counterfactual=False))
    shown = texts_of(sheet)
    assert "Nothing was drawn, so other seeds give the same result." in shown
    assert "(not checked: deletion, insertion)." in " ".join(" ".join(shown).split())
    assert not [line for line in shown if line.startswith("deletion: ") or "blanked" in line]
    assert collisions(sheet) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "choices",
    [
        {"seeds": 1, "again": False, "flipped": False},
        {"constant": True, "word": "unstable"},
        {"name": HOSTILE * 3, "label": HOSTILE * 3, "doubts": [HOSTILE * 9], "word": "doubtful"},
        {"n": 150, "side": 150, "top": 10, "seeds": 5, "word": "unstable"},
        {"n": 2, "top": 1, "flip": True, "again": False},
        {"n": 3, "top": 3, "counterfactual": False},
    ],
)
def test_on_no_sheet_does_text_overlap(tmp_path, choices):
    assert collisions(explanation_sheet(loaded(tmp_path, **choices))) == []


def test_figures_are_those_of_what_was_made(tmp_path):
    explanation = loaded(tmp_path / "a")
    names = [name for name, _ in figures_of(explanation)]
    assert names == list(dict.fromkeys(names)) and set(names) == set(CAPTIONS)
    bare = loaded(tmp_path / "b", seeds=1, curves=False, counterfactual=False)
    assert [name for name, _ in figures_of(bare)] == [
        "segments",
        "heat",
        "top",
        "coefficients",
        "masks",
        "residuals",
    ]


@pytest.mark.slow
def test_in_no_figure_does_text_overlap(tmp_path):
    explanation = loaded(tmp_path, n=60, side=120, top=8, name=HOSTILE, label=HOSTILE * 3)
    assert [name for name, figure in figures_of(explanation) if collisions(figure)] == []
