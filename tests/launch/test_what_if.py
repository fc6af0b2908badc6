"""The same steps trained again and again, as they were and changed."""

from dataclasses import replace

import pytest

from qa_research.capture.forward import scores_of
from qa_research.interventions.what_if.show import show_what_if
from qa_research.launch.fork import ForkEdits, Silenced, fork
from qa_research.launch.stretch import stretch_of
from qa_research.launch.what_if import Question, Scorer, what_if
from qa_research.runs.open import open_run
from qa_research.training.silencing import Window
from tests.training.kept_whole import WHOLE, copied


@pytest.fixture
def whole(tiny, tmp_path_factory):
    """The directory of a finished run with states of steps 3, 6, 9 and 12."""
    return copied(tiny, WHOLE, tmp_path_factory.getbasetemp())


def asked(run, first=6, until=12, **question):
    question = Question(questions=12, draws=2, **question)
    stretch = stretch_of(str(run), first, until, run.parent.parent, anyway=False)
    return what_if(stretch, question, from_start=False)


def ids_of(run):
    return [row.id for row in open_run(run).own("train").rows]


def test_without_examples_beside_random_ones(whole, capsys):
    found = asked(whole, without=ids_of(whole)[:3], every=3)
    assert found.exact and found.compared == 4
    steps = [effect.step for effect in found.effects["all"]]
    assert steps == [6, 9, 12]
    first, last = found.effects["all"][0], found.effects["all"][-1]
    # At the fork all are one training.
    assert first.change == 0 and first.random == (first.as_it_was,) * 2
    assert len(last.random) == 2 and last.bound is None
    show_what_if(found)
    said = capsys.readouterr().out
    assert (
        "without 3 training examples" in said
        and "the same, bit for bit (4 kept states compared)" in said
    )


def test_silent_parts_beside_other_parts_and_whole_layers(whole):
    found = asked(whole, silence=["heads.1.0"], silence_until=9)
    assert found.exact and "heads.1.0 silent in steps 7 to 9" in found.changed
    # The layer has one other head.
    assert any("only 1 other set" in note for note in found.notes)
    assert all(effect.bound is not None for effect in found.effects["all"])
    assert all(len(effect.random) == 1 for effect in found.effects["all"])


def test_what_is_silent_in_training_is_silent_in_what_is_scored(whole, monkeypatch):
    opened = open_run(whole)
    question = opened.watched([opened.own("validation").rows[0]])

    def answering(opened, rows):
        return lambda rows: [{"score": scores_of(opened.network, question).detach().sum().item()}]

    monkeypatch.setattr(type(opened), "answering_of", answering)
    metric = {"name": "score", "per_example": "score", "scale": 1.0}
    scorer = Scorer(opened, [], metric, [3, 6, 9, 12])
    window = Window(["layers.1"], since=3, until=9, how="zero")
    found = scorer.fresh(window)
    for step in (3, 6, 9, 12):
        scorer(step, opened.network)
    as_it_is = answering(opened, [])([])[0]["score"]
    with window.on(opened.network):
        silent = answering(opened, [])([])[0]["score"]
    assert silent != as_it_is
    assert [found[step]["score"].item() for step in (3, 6, 9, 12)] == [
        as_it_is,
        silent,
        silent,
        as_it_is,
    ]


def test_silence_of_no_length_changes_nothing(whole):
    found = asked(whole, silence=["feed_forward.0"], silence_until=6)
    assert all(effect.change == 0 for effect in found.effects["all"])


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({}, "choose one change"),
        ({"without": ["a"], "silence": ["heads.0.0"]}, "choose one change"),
        ({"without": ["nobody"]}, "--without: nobody is not the id of a training example"),
        ({"silence": ["heads.9.9"]}, "--silence heads.9.9 is no part of this network"),
        ({"silence": ["heads.0.0"], "silence_with": "half"}, "--with must be 'zero' or 'mean'"),
        ({"without": ["x"], "kinds": ["what"]}, "of the kind 'what'"),
        ({"without": ["x"], "silence_until": 9}, "--until and --with say when and how parts are"),
        ({"without": ["x"], "silence_with": "mean"}, "--until and --with say when and how parts"),
        (
            {"silence": ["heads.0.0"], "holes": "next"},
            "--holes next says what becomes of the places",
        ),
        ({"silence": ["heads.0.0"], "silence_until": 3}, "--until 3 is before --at 6"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(whole, question, sentence):
    with pytest.raises(ValueError, match=sentence):
        asked(whole, **question)


def test_a_compiled_network_has_no_parts_to_silence(whole):
    stretch = stretch_of(str(whole), 6, 12, whole.parent.parent, anyway=False)
    config = {**stretch.config, "model": stretch.config["model"] | {"compile": True}}
    with pytest.raises(ValueError, match="--silence does not work for a run with model.compile"):
        what_if(replace(stretch, config=config), Question(silence=["heads.0.0"]), from_start=False)


def test_steps_must_be_a_stretch(whole):
    with pytest.raises(ValueError, match="--to 6 must be after --at 6"):
        asked(whole, first=6, until=6, without=["x"])
    with pytest.raises(ValueError, match="--to 99 is not one of this run's steps"):
        asked(whole, until=99, without=["x"])


def test_a_run_that_leaves_something_out_itself_is_refused(whole):
    before = set(whole.parent.iterdir())
    fork(
        str(whole),
        6,
        [],
        ForkEdits(without=ids_of(whole)[:2]),
        Silenced(),
        whole.parent.parent,
        from_start=False,
        anyway=False,
    )
    (run,) = set(whole.parent.iterdir()) - before
    with pytest.raises(ValueError, match="this run has data.without itself"):
        asked(run, first=9, without=ids_of(whole)[3:4])
