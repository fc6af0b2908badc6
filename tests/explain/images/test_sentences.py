from dataclasses import replace

import numpy as np
import pytest

from qa_research.explain.images.blanking import Control, Flip
from qa_research.explain.images.result import Curves
from qa_research.explain.images.sentences import (
    badge,
    blanking_summary,
    caption,
    command_of_more,
    facts,
    headline,
    meaning,
    percent,
    shown_top,
)
from qa_research.explain.images.trust import Verdict
from qa_research.explain.ranking import StableTop
from tests.explain.images.explanations import loaded, with_ties


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
        "Of 5 random sets of segments with as much area, none lower espresso as far; no p value, because "
        "this set was found by searching for such an effect.",
        f"Segments {names} change the class; no smaller set does (7 sets tried).",
    ]
    stays = loaded(tmp_path / "b", flipped=False).counterfactual
    assert blanking_summary(stays)[0].endswith("to 50 %, and still wins.")
    assert blanking_summary(stays)[-1] == (
        "Of 5 random sets of segments with as much area, none lower espresso as far (p 0.167; it cannot be "
        "below 0.167 with so few)."
    )
    none = Control((), np.empty(0), np.empty(0), (), None, True)
    assert blanking_summary(replace(stays, control=none))[-1] == (
        "No other set of segments has as much area, so there is nothing to compare this with."
    )
    some = replace(stays.control, complete=True, p_value=0.5, probabilities=np.full(5, 0.5))
    assert (
        "Of all 5 other sets of segments with as much area, 5 lower espresso as far (p 0.500"
        in (blanking_summary(replace(stays, control=some))[-1])
    )
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
    assert many.startswith("The seeds agree on the top segments; no check")
    assert one.startswith(
        "Masks were drawn with only one seed, so it is not known whether others agree"
    )
    assert exact.startswith("All possible masks were predicted")


RANKS = "The top 2 are stable: all 3 seeds name them; ranks 3 to 4 are tied."


# The curves of these files are compared with five orders: none of which p <= 0.05 could come.
TOO_FEW = " (not checked: deletion, insertion)"


def with_ranks(folder, word="stable", doubts=(), **choices):
    """As this version writes it: the verdict names the stable top."""
    found = loaded(folder, word=word, doubts=doubts, **choices)
    stable = StableTop(2, (1, 2), found.order[2:4], 3, 0.0004, 4)
    return replace(found, verdict=Verdict(word, tuple(doubts), RANKS), stable_top=stable)


def test_a_verdict_names_the_stable_top_and_what_is_tied(tmp_path):
    stable = with_ranks(tmp_path / "a")
    assert meaning(stable) == f"{RANKS} No check contradicts the explanation{TOO_FEW}."
    assert badge(stable) == "top 2 stable" and badge(loaded(tmp_path / "b")) == "stable"
    assert stable.tied_ranks == [(3, 4)]
    row = dict(facts(stable))["largest top on which all 3 seeds agree"]
    assert row == "2 of 4 (any top by chance: < 0.001)"
    doubtful = with_ranks(tmp_path / "c", "doubtful", ["But."])
    assert meaning(doubtful) == f"{RANKS} But a check contradicts it{TOO_FEW}."
    assert badge(doubtful) == "doubtful"
    assert meaning(with_ranks(tmp_path / "d", "unstable")).startswith(
        "Do not rely on these segments. The top"
    )


def test_what_was_not_checked_is_not_said_to_agree(tmp_path):
    without = with_ranks(tmp_path / "a", curves=False)
    assert meaning(without).endswith("(not checked: deletion, insertion).")
    found = with_ranks(tmp_path / "b")
    enough = {
        name: replace(curve, random_areas=np.full(19, 0.45))
        for name, curve in vars(found.curves).items()
    }
    assert meaning(replace(found, curves=Curves(**enough))).endswith("contradicts the explanation.")
    one = Curves(enough["deletion"], found.curves.insertion)
    assert meaning(replace(found, curves=one)).endswith("(not checked: insertion).")
    assert "(not checked: deletion, insertion)" in meaning(loaded(tmp_path / "c", exact=True))


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("", "segmenter=grid,quickshift lime.baseline=grey,blur"),
        (
            "image=a.png segmenter=grid segmenter.rows=3 ++lime.baseline=grey trust.top=2",
            "image=a.png trust.top=2 segmenter=grid,quickshift lime.baseline=grey,blur",
        ),
        (
            r"""'image=it'"'"'s a segmenter=.png' $'label=\033\' x'""",
            r"""'image=it'"'"'s a segmenter=.png' $'label=\033\' x' """
            "segmenter=grid,quickshift lime.baseline=grey,blur",
        ),
    ],
)
def test_the_command_that_tries_more_keeps_the_rest_as_it_was_typed(tmp_path, typed, proposed):
    found = replace(loaded(tmp_path), command=f"qa-research explain {typed}".strip())
    assert command_of_more(found) == f"qa-research explain -m {proposed}"


def test_figures_say_which_top_they_show(tmp_path):
    stable = with_ties(tmp_path / "a")
    assert (stable.top, stable.highlighted, shown_top(stable)) == (4, 6, "the stable top 6")
    assert caption("top", stable).startswith("Left, the picture with only the stable top 6 on;")
    none = replace(stable, stable_top=replace(stable.stable_top, k=0, sizes=()))
    assert shown_top(none) == "the top 4 (no top is stable)"
    assert shown_top(loaded(tmp_path / "b", exact=True)) == "the top 2"
    exact = replace(stable, stable_top=replace(stable.stable_top, repeats=1))
    assert (exact.highlighted, shown_top(exact)) == (4, "the top 4")


def test_the_second_explanation_has_a_verdict_of_its_own(tmp_path):
    found = loaded(tmp_path).counterfactual
    judged = Verdict("doubtful", ("A reason.",), "The top 1 is stable: all 3 seeds name it.")
    again = replace(found.explained_again, verdict=judged)
    assert blanking_summary(replace(found, explained_again=again))[-1] == (
        "Explained again, cup: doubtful, R² 0.50. The top 1 is stable: all 3 seeds name it. A reason."
    )
    again = replace(again, verdict=replace(judged, word="stable", doubts=()))
    assert blanking_summary(replace(found, explained_again=again))[-1].startswith(
        "Explained again, cup: stable (not checked: deletion, insertion), R² 0.50. The top 1"
    )


def test_how_much_of_what_r2_lacks_is_rounding_is_said(tmp_path):
    found = loaded(tmp_path)
    rounded = replace(found.surrogate, repeated=128, r2_repeated=0.8, r2_in_float32=0.85)
    row = dict(facts(replace(found, surrogate=rounded)))["128 masks again in float32"]
    assert row == "R² 0.85 instead of 0.80: 25 % of what is missing is rounding"


def test_the_caption_of_exact_masks_speaks_of_no_coins(tmp_path):
    assert "probability 1/2" in caption("masks", loaded(tmp_path / "a"))
    assert caption("masks", loaded(tmp_path / "b", exact=True)) == (
        "How many segments were on in each mask: every possible mask once."
    )


def test_percents_have_few_digits_and_no_false_zero():
    shown = [percent(p) for p in (0, 0.0004, 0.0276, 0.27, 0.9, 0.999, 1)]
    assert shown == ["0 %", "< 0.1 %", "2.8 %", "27 %", "90 %", "99.9 %", "100 %"]
