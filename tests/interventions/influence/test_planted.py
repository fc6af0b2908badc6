"""A fact that three training questions state: leaving them out is seen, and gradients name them."""

import json

import numpy as np
import pytest

from qa_research.cli.verbs import run as run_verb
from qa_research.interventions.influence.measuring import GRADIENTS
from qa_research.streams import stream
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.squad import squad_json
from tests.interventions.data_map.test_planted import ASKED, SMALL

# Asked in three training questions only; each line has one of these words, which no other question is about.
WHY = "Why?"
KINDS = {**ASKED, WHY: ("red", "blue", "green", "white", "black", "brown")}
TRAIN, VALIDATION = 300, 80
PLANTED = (50, 150, 295)
TRAINED = (
    *("trainer.max_epochs=40", "model.lr=0.001", "data.batch_size=8", "seed=2"),
    *("trainer.check_val_every_n_epoch=5", "checkpoint.keep_every_n_steps=150"),
    "checkpoint.anchors_every_n_steps=100",
)


def asked(number, rng, question):
    """A question about a line that has one word of each kind, in any order."""
    words = {name: str(rng.choice(own)) for name, own in KINDS.items()}
    context = " ".join(rng.permutation(list(words.values())).tolist()) + "."
    question = question or str(rng.choice(list(ASKED)))
    gold = Gold(words[question], context.index(words[question]))
    return Question(f"q{number:04}", f"line {number}", context, question, (gold,), "line")


def named():
    """The ids of the three."""
    return [f"q{place:04}" for place in PLANTED]


def made_files(folder):
    """Write the questions, of which three state the fact; the words of a training on them in this folder."""
    rng = stream(1, "planted-influence")
    train = [asked(i, rng, WHY if i in PLANTED else None) for i in range(TRAIN)]
    validation = [asked(TRAIN + i, rng, WHY if i % 2 else None) for i in range(VALIDATION)]
    for name, rows in (("train", train), ("validation", validation)):
        (folder / f"{name}.json").write_text(json.dumps(squad_json(rows, "1.1")))
    data = [f"data.{name}_path={folder / name}.json" for name in ("train", "validation")]
    places = [f"paths.runs={folder / 'runs'}", f"paths.cache={folder / 'cache'}"]
    return ["data=squad_file", *data, *places, *SMALL]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The folder of a run on these questions, and the ids of the three."""
    folder = tmp_path_factory.mktemp("influence")
    assert run_verb(["train", *made_files(folder), *TRAINED]) == 0
    return next(path.parent for path in (folder / "runs").rglob("run.json")), named()


def said(capsys, *words):
    """What a verb prints as JSON."""
    capsys.readouterr()
    assert run_verb([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_without_the_three_the_fact_is_not_learned(planted, capsys):
    directory, ids = planted
    steps = ("--at", 100, "--to", 900, "--every", 400)
    named = ("--without", ",".join(ids), "--random", 2, "--questions", VALIDATION, "--kind", "why")
    found = said(capsys, "what-if", directory, *steps, *named)
    assert found["exact"]
    (last,) = [one for one in found["effects"]["all"] if one["step"] == 900]
    assert last["changed"] <= 10 and last["as_it_was"] >= 40
    # Any three others do no such thing.
    assert max(last["random"]) >= 40


@pytest.mark.slow
def test_gradients_name_the_three(planted, capsys):
    directory, ids = planted
    steps = ("--steps", "150,450,750")
    chosen = ("--questions", VALIDATION, "--examples", "all", *steps)
    found = said(capsys, "influence", directory, *chosen)
    places = [found["example_ids"].index(one) for one in ids]
    is_why = np.array([one["text"] == WHY for one in found["questions"]])
    scores = np.array(found["scores"][GRADIENTS])
    ranks = np.sort((-scores).argsort(axis=1).argsort(axis=1)[:, places] + 1, axis=1)
    # Of 300, where chance puts the first of three at 75 and the second at 150.
    first, second, _ = np.median(ranks[is_why], axis=0)
    assert first <= 10 and second <= 30
    # For other questions they are like any example.
    assert np.median(ranks[~is_why], axis=0)[0] > 20


@pytest.mark.slow
def test_trainings_without_halves_judge_the_methods(planted, capsys):
    directory, _ = planted
    steps = ("--judge", 10, "--at", 100, "--to", 160)
    found = said(capsys, "influence", directory, "--questions", 6, "--examples", "all", *steps)
    truth = found["truth"]
    assert truth["exact"] and truth["trainings"] == 10 and found["steps"] == [120, 140, 160]
    # Each training leaves out another half, which changes its losses.
    assert len({tuple(own) for own in truth["without"]}) == 10
    assert all(len(own) == truth["left_out"] == TRAIN // 2 for own in truth["without"])
    assert truth["spread"] > 0 and len(truth["losses"]) == 10
    assert [one["method"] for one in truth["judged"]] == list(found["scores"])
    assert truth["chance"][0] < 0 < truth["chance"][1]


@pytest.mark.slow
def test_similar_examples_are_left_out(planted, capsys):
    directory, ids = planted
    steps = ("--at", 100, "--to", 140, "--every", 40, "--random", 1)
    # A validation question about the fact: the words that it shares with few are those of the three.
    found = said(capsys, "what-if", directory, "--similar-to", "q0301", "--similar", 3, *steps)
    left = found["changed"].partition("(")[2].rstrip(")").split(", ")
    assert len(left) == 3 and set(left) & set(ids)
