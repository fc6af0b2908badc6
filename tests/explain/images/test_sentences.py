from dataclasses import replace

from qa_research.explain.images.blanking import Flip
from qa_research.explain.images.sentences import (
    blanking_summary,
    facts,
    headline,
    meaning,
    percent,
)
from tests.explain.images.explanations import loaded


def test_facts_name_what_was_made_and_how_it_was_controlled(tmp_path):
    explanation = loaded(tmp_path / "a")
    found = dict(facts(explanation))
    assert found["segments"] == "4 by grid (rows 2, columns 2)"
    assert found["off segments are replaced by"] == "grey"
    assert found["masks"] == "60 (3 seeds × 20)"
    assert found["surrogate"] == "ridge, R² 0.87"
    assert found["Jaccard index of the seeds' top 2"] == "0.84 (worst pair 0.60, by chance 0.14)"
    assert found["ranks 2 and 3"] == "separate (z 3.10, needed 2.24)"
    assert headline(explanation) == "espresso (90 %)"
    exact = dict(facts(loaded(tmp_path / "b", exact=True)))
    assert exact["masks"] == "all 16 possible ones"
    assert not [name for name in exact if "seeds" in name or "ranks" in name]
    constant = dict(facts(loaded(tmp_path / "c", constant=True)))
    assert constant["surrogate"] == "ridge, R² undefined"


def test_the_counterfactual_is_described_in_sentences(tmp_path):
    found = loaded(tmp_path / "a", flipped=True, flip=True).counterfactual
    names = ", ".join(str(i) for i in found.segments)
    assert blanking_summary(found) == [
        f"Without segments {names} (50 % of the area) espresso falls from 90 % to 20 %, "
        "and cup wins with 55 %.",
        "At first cup was in place 2 with 6.0 %.",
        "Of 5 random sets of segments with as much area, none lower it as far (p 0.167).",
        f"Segments {names} change the class; no smaller set does (7 sets tried).",
    ]
    stays = loaded(tmp_path / "b", flipped=False).counterfactual
    assert blanking_summary(stays)[0].endswith("to 50 %, and still wins.")
    unproven = replace(stays, flip=Flip((2,), False, 99))
    assert blanking_summary(unproven)[-1] == (
        "Segment 2 changes the class; a smaller set may do so too, which counterfactual.max_predictions "
        "allows to try (99 sets tried)."
    )
    without_flip = replace(stays, flip=Flip(None, False, 99))
    assert blanking_summary(without_flip)[-1] == (
        "No set of segments was found that changes the class (99 sets tried)."
    )


def test_a_verdict_does_not_speak_of_seeds_that_were_not_compared(tmp_path):
    many, one, exact = (
        meaning(loaded(tmp_path / str(i), **choices))
        for i, choices in enumerate(({}, {"seeds": 1}, {"exact": True}))
    )
    assert many.startswith("The seeds agree on the top segments; no control")
    assert one.startswith(
        "Masks were drawn with only one seed, so it is not known whether others agree"
    )
    assert exact.startswith("All possible masks were predicted")


def test_percents_have_few_digits_and_no_false_zero():
    shown = [percent(p) for p in (0, 0.0004, 0.0276, 0.27, 0.9, 0.999, 1)]
    assert shown == ["0 %", "< 0.1 %", "2.8 %", "27 %", "90 %", "99.9 %", "100 %"]
