"""Grafting: a planted circuit is found, and the verb on runs of each task."""

import json

import pytest

from qa_research.cli import verbs
from qa_research.console import Screen
from qa_research.interventions.graft.figure import graft_figure
from qa_research.interventions.graft.grafting import FROM, INTO, GraftRequest, graft
from qa_research.interventions.graft.parts import tensors_of
from qa_research.interventions.graft.show import show_grafted
from qa_research.interventions.graft.swapping import Scorer, same_tensors
from qa_research.runs.open import open_run
from tests.figures.drawn import collisions
from tests.interventions.graft.planted import HEADS, LAYERS, without_and_with
from tests.tasks.paraphrase.test_training import TINY as PAIRS
from tests.tasks.sequences.conftest import TINY as SEQUENCES
from tests.tiny_run import TINY, train
from tests.training.reading import directory_of

HIDDEN = ("data.train_questions=30", "trainer.max_steps=8", "trainer.val_check_interval=4")
REQUEST = GraftRequest(("heads",), (), None, 40, 5, None, 1)


def changes(found, division, side):
    return {part.name: part.effects[side]["all"].change for part in found.parts[division]}


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_head_is_found_both_ways_round(letters, seed):
    layer, head = seed % LAYERS, seed // LAYERS % HEADS
    before, after = without_and_with(letters, layer, head, seed)
    found = graft(before, after, REQUEST)
    name = f"heads.{layer}.{head}"
    assert found.base[FROM]["all"].score == 100 and found.base[INTO]["all"].score < 50
    gained, lost = changes(found, "heads", INTO), changes(found, "heads", FROM)
    assert max(gained, key=gained.get) == name == min(lost, key=lost.get)
    (part,) = [part for part in found.parts["heads"] if part.name == name]
    effect = part.effects[INTO]["all"]
    assert effect.score > 90 and effect.low > 30 and effect.as_far == 0
    # Every head has moved as much as this one.
    moved = [one.moved for one in found.parts["heads"] if one.kind == part.kind]
    assert max(moved) < 1.1 * part.moved


def test_the_layer_and_the_attention_of_the_head_are_given_the_difference(letters):
    before, after = without_and_with(letters, 1, 2, 0)
    found = graft(before, after, GraftRequest(("layers", "modules"), (), "f1", 40, 2, 4, 1))
    for division, name in (("layers", "layers.1"), ("modules", "attention.1")):
        shared = found.shapley[division]
        shares = {share.name: share.value for share in shared.shares["all"]}
        assert sum(shares.values()) == pytest.approx(shared.total["all"])
        assert shares[name] == max(shares.values()) > 0.8 * shared.total["all"]
    assert not collisions(graft_figure(found))


def test_the_same_seed_grafts_the_same_and_the_networks_stay_as_they_are(letters):
    before, after = without_and_with(letters, 0, 0, 3)
    copies = [
        {name: tensor.clone() for name, tensor in tensors_of(one.network).items()}
        for one in (before, after)
    ]
    request = GraftRequest(("modules",), (), None, 20, 2, None, 1)
    found = graft(before, after, request)
    assert found == graft(before, after, request)
    for one, copy in zip((before, after), copies, strict=True):
        assert same_tensors(tensors_of(one.network), copy)
    other = graft(before, after, GraftRequest(("modules",), (), None, 20, 2, None, 2))
    assert other.random != found.random


def test_scores_are_those_of_the_run_itself(letters):
    before, after = without_and_with(letters, 0, 1, 4)
    rows = letters.own("validation").rows[:30]
    scorer = Scorer(before, tensors_of(after.network), rows, letters.metrics[0])
    for some, opened in (({}, before), (dict.fromkeys(tensors_of(before.network)), after)):
        expected = [row["exact_match"] for row in opened.rows(rows)]
        assert scorer(some)["exact_match"].tolist() == expected


@pytest.fixture(scope="module")
def run(cache, tmp_path_factory):
    """A tiny run that kept three steps."""
    place = tmp_path_factory.mktemp("grafted")
    words = ("checkpoint.keep_every_n_steps=2", "data.validation_questions=120", "capture=none")
    places = (f"paths.runs={place}", f"paths.cache={cache}", "logger.graph=false")
    assert verbs.run(["train", *TINY, *words, *places]) == 0
    return next(place.rglob("run.json")).parent


STEPS = ("--from", "6", "--into", "2", "--random", "2", "--questions", "24", "--threads", "1")


def test_the_verb_writes_what_it_tells(run, verb, tmp_path):
    out = ("--out", str(tmp_path / "out"))
    code, told, err = verb("graft", str(run), *STEPS, "--parts", "all", "--shapley", *out, "--json")
    assert code == 0, err
    found = json.loads(told)
    assert json.loads((tmp_path / "out/graft.json").read_text()).items() <= found.items()
    assert (tmp_path / "out/graft.png").stat().st_size > 10_000
    assert found["labels"] == {"into": "step 2", "from": "step 6"} and found["chose_nothing"]
    counts = {division: len(parts) for division, parts in found["parts"].items()}
    assert counts == {"layers": 4, "modules": 6, "heads": 2 + 2 * (2 + 1 + 1)}
    assert found["base"]["into"].keys() == {"all", "lookup", "match"}
    assert found["shapley"].keys() == {"layers", "modules"}
    for shared in found["shapley"].values():
        for kind, shares in shared["shares"].items():
            total = sum(share["value"] for share in shares)
            assert total == pytest.approx(shared["total"][kind])
    random = found["random"]["attention head of layer 1"]["scores"]["into"]["match"]
    assert len(random) == 2


def test_one_kind_by_another_metric_on_the_screen(run, verb, tmp_path):
    words = (
        "--parts",
        "head,attention.1,norms.1",
        "--kind",
        "match",
        "--metric",
        "f1",
        "--format",
        "svg",
    )
    code, told, err = verb("graft", str(run), *STEPS, *words, "--out", str(tmp_path))
    assert code == 0 and "F1 of 24 questions that chose nothing" in told, err
    assert "step 2 with one part of step 6" in told and "step 6 with one part of step 2" in told
    assert "by kind" not in told and (tmp_path / "graft.svg").is_file()


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_no_row_is_folded(letters, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(Screen, "is_terminal", True)
    before, after = without_and_with(letters, 0, 1, 0)
    show_grafted(graft(before, after, GraftRequest(("modules",), (), None, 10, 2, 4, 1)))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= columns
    parts = [line for line in lines if line.startswith(("attention.1", "feed_forward.1"))]
    assert len(parts) == 6 and all(" to " in line for line in parts)


def test_what_cannot_be_grafted_is_one_sentence(run, letters):
    opened = [open_run(run, name) for name in ("2", "6")]

    def refused(*parts: str, kind: str = "match", metric: str = "f1", orders=None) -> str:
        with pytest.raises(ValueError, match=".") as error:
            graft(*opened, GraftRequest(parts, (kind,), metric, 10, 1, orders, 1))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "did you mean heads.1.1" in refused("modules", "heads.1.7")
    assert "did you mean match?" in refused("modules", kind="mtach")
    assert "did you mean f1?" in refused("modules", metric="f2")
    assert "--parts layers, modules or both" in refused("heads", orders=4)
    with pytest.raises(ValueError, match="have the same weights: nothing to graft"):
        graft(opened[0], opened[0], GraftRequest(("modules",), (), None, 10, 1, None, 1))
    # A checkpoint of a network of other sizes.
    with pytest.raises(ValueError, match="does not fit"):
        open_run(run, str(letters.checkpoint))


def test_steps_that_were_not_kept_or_are_the_same_are_one_sentence(run, verb, tmp_path):
    def refused(*words: str) -> str:
        code, out, err = verb("graft", str(run), *words, "--out", str(tmp_path / "out"))
        assert (code, out) == (2, "") and err.count("\n") == 1, err
        return err

    assert "this run has best, last, 2, 4, 6" in refused("--from", "3", "--into", "2")
    assert "--from 2 and --into 2 are the same" in refused("--from", "2", "--into", "2")
    assert "add --shapley, or leave out --orders" in refused(*STEPS, "--orders", "12")
    odd = refused(*STEPS, "--shapley", "--orders", "11")
    assert "--orders must be an even number" in odd and "got 11" in odd
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("+experiment=paraphrase", "model=pairs_bert_tiny", *PAIRS),
        (*SEQUENCES, "model.layers=2"),
        # Its decoder shares its matrix with the embeddings.
        ("+experiment=masked_words", *TINY, *HIDDEN),
    ],
    ids=["pairs", "sequences", "hidden words"],
)
def test_runs_of_other_tasks_are_grafted_too(composed, tmp_path, cache, verb, words):
    places = (f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}", "capture=none")
    config = composed(*words, *places, "checkpoint.keep_every_n_steps=2")
    train(config)
    steps = ("--from", "4", "--into", "2", "--random", "2", "--threads", "1")
    out = ("--out", str(tmp_path / "out"))
    code, _, err = verb("graft", str(directory_of(config)), *steps, "--shapley", *out)
    assert code == 0, err
    found = json.loads((tmp_path / "out/graft.json").read_text())
    assert len(found["parts"]["modules"]) == 6
    shared = found["shapley"]["modules"]
    total = sum(share["value"] for share in shared["shares"]["all"])
    assert total == pytest.approx(shared["total"]["all"])


def test_a_network_without_such_layers_is_one_sentence(composed, tmp_path, cache):
    config = composed(
        "+experiment=sequence_cnn",
        *("data.made_train=44", "data.made_validation=40", "trainer.max_epochs=1"),
        *("capture=none", "train.progress=none", "logger.graph=false"),
        *(f"paths.runs={tmp_path}", f"paths.cache={cache}"),
    )
    train(config)
    opened = [open_run(directory_of(config), name) for name in ("best", "last")]
    with pytest.raises(ValueError, match="a ConvolutionalNetwork does not say that it has layers"):
        graft(*opened, GraftRequest(("modules",), (), None, 10, 1, None, 1))


def test_a_checkpoint_that_is_opened_by_its_path_has_the_name_of_its_step(run):
    path = run / "checkpoints/step-000004.ckpt"
    request = GraftRequest(("head",), (), None, 8, 1, None, 1)
    found = graft(open_run(run, "2"), open_run(run, str(path)), request)
    assert found.labels == {INTO: "step 2", FROM: "step 4"}
    assert [part.name for part in found.parts["layers"]] == ["head"] and not found.random
