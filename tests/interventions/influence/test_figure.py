"""What is drawn and told of scores made by hand."""

import numpy as np

from qa_research.interventions.influence.figure import influence_figure
from qa_research.interventions.influence.found import Influence, Listed, OfQuestion, Truth
from qa_research.interventions.influence.judging import Judged
from qa_research.interventions.influence.measuring import COSINE, GRADIENTS, REPRESENTATION, TEXT
from qa_research.interventions.influence.show import show_influence, verdict
from tests.figures.drawn import collisions

NAMES = (GRADIENTS, COSINE, REPRESENTATION, TEXT)


def judged(gradients, text=(0.1, 0.05, 0.2), above=(0.2, -0.1, 0.4)):
    rows = [Judged(name, 0.0, -0.2, 0.2, (0.0, -0.2, 0.2)) for name in (COSINE, REPRESENTATION)]
    return (Judged(GRADIENTS, *gradients, above), *rows, Judged(TEXT, *text, None))


def truth_of(own):
    return Truth(
        trainings=40,
        first=40,
        until=80,
        left_out=320,
        losses=((0.1,),),
        without=(("q7",),),
        judged=own,
        chance=(-0.05, 0.05),
        spread=0.5,
        exact=True,
        compared=2,
    )


def found(is_judged):
    listed = Listed("q7", "Who teaches group B?", "match", 0.02, 5.5)
    question = OfQuestion("q1", "Where is group K?", "match", (listed,), (listed,))
    return Influence(
        run="a_study/minilm-s1-0c4d489e",
        examples="questions",
        steps=(48, 60),
        question_ids=("q1",),
        example_ids=("q7",),
        scores={name: np.ones((1, 1)) for name in NAMES},
        questions=(question,),
        agreement={one: {other: 1.0 if one == other else 0.2 for other in NAMES} for one in NAMES},
        truth=truth_of(judged((0.3, 0.1, 0.5))) if is_judged else None,
        seconds=3.0,
        notes=("All chose",),
    )


def test_figures_have_no_texts_that_touch():
    for is_judged in (False, True):
        figure = influence_figure(found(is_judged))
        assert collisions(figure) == []
        assert not any(
            "□" in text.get_text()
            for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))
        )


def test_what_is_judged_is_told(capsys):
    show_influence(found(is_judged=True))
    shown = capsys.readouterr().out
    assert "gradients" in shown and "+0.300 [+0.100, +0.500]" in shown
    assert "Random scores: -0.050 to +0.050" in shown and "(2 kept states compared)" in shown
    show_influence(found(is_judged=False))
    assert "Judged by" not in capsys.readouterr().out


def told(**changed):
    return verdict(truth_of(judged(**changed)))


def test_the_verdict_claims_no_more_than_intervals_show():
    assert told(gradients=(0.5, 0.3, 0.6), above=(0.4, 0.2, 0.5)).endswith(
        "text similarity: gradients"
    )
    assert told(gradients=(0.3, 0.1, 0.5)).startswith(
        "Above 0: gradients, text; no method is shown"
    )
    nothing = told(gradients=(0.1, -0.1, 0.3), text=(0.0, -0.1, 0.1))
    assert nothing == "No method is shown to predict anything"
    # Less wrong than texts, and no better than chance, is nothing.
    less_wrong = told(gradients=(0.0, -0.1, 0.1), above=(0.3, 0.1, 0.5), text=(-0.3, -0.4, -0.2))
    assert less_wrong == "No method is shown to predict anything"
    within_chance = told(gradients=(0.04, 0.01, 0.1), text=(0.0, -0.1, 0.1))
    assert within_chance == "No method is shown to predict anything"
