"""Some validation questions choose the best weights; scores are told of those that chose nothing."""

import json
import logging
import re
import shutil
import signal

import pytest

from qa_research.runs.compare import side_by_side
from qa_research.runs.directory import read_record
from qa_research.signals import Stopped
from qa_research.tasks.answering.choosing import context_digest
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.squad import squad_json
from tests.tiny_run import TINY, train
from tests.training.reading import directory_of, result_of, rows_of, validation_rows
from tests.training.signalling import Plan, Signalling

# 60 contexts of two questions, of which 12 are a fifth.
DIVIDED = ("data.validation_questions=null", "trainer.val_check_interval=0.17", "study=divided")


@pytest.fixture(scope="module")
def validation():
    return generate(0).validation[:120]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, cache, validation):
    """A folder with two runs of different seeds and sizes on the same questions."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.launch.compose import conf_directory

    folder = tmp_path_factory.mktemp("divided")
    path = folder / "validation.json"
    path.write_text(json.dumps(squad_json(validation, "1.1")))
    data = ["data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        for more in (["seed=1"], ["seed=2", "model.hidden_size=8"]):
            words = [*TINY, *DIVIDED, *data, "answer.max_answer_tokens=8", "capture=none", *more]
            places = [f"paths.runs={folder / 'runs'}", f"paths.cache={cache}"]
            train(compose("train", [*words, *places]))
    return folder / "runs"


@pytest.fixture
def run(runs):
    (found,) = runs.glob("divided/*-s1-*")
    return found


def predictions_of(run):
    return json.loads((run / "predictions/validation.json").read_text())


def percent(rows, name="f1"):
    return pytest.approx(100 * sum(row[name] for row in rows) / len(rows), abs=1e-4)


def test_the_best_is_chosen_by_some_and_scored_on_the_others(run):
    record, rows = read_record(run), predictions_of(run)
    chose = [row for row in rows if row["chose"]]
    fresh = [row for row in rows if not row["chose"]]
    assert record["questions"] == {"train": 48, "validation": 120, "choosing": 24}
    assert (len(chose), len(fresh)) == (24, 96)
    best = record["best"]
    assert best["choosing/f1"] == percent(chose) and best["val/f1"] == percent(fresh)
    assert best["val/exact_match"] == percent(fresh, "exact_match")
    validations = validation_rows(run)
    scores = [float(row["choosing/f1"]) for row in validations]
    assert len(validations) == 6 and best["choosing/f1"] == max(scores)
    assert record["best_step"] == int(validations[scores.index(max(scores))]["step"])


def test_losses_of_both_parts_are_means_over_their_windows(run):
    """All questions have one window here, so the parts' mean is that of all."""
    for row in validation_rows(run):
        loss, chose = float(row["val/loss"]), float(row["choosing/loss"])
        assert loss > 0 and chose > 0 and loss != chose


def test_whole_contexts_choose_the_same_in_runs_of_other_seeds_and_models(runs, validation):
    parts = [
        {row["id"] for row in predictions_of(run) if row["chose"]} for run in runs.glob("divided/*")
    ]
    assert len(parts) == 2 and parts[0] == parts[1]
    contexts = {row.context for row in validation if row.id in parts[0]}
    assert {row.id for row in validation if row.context in contexts} == parts[0]


def test_predictions_tell_contexts_apart(run, validation):
    digests = [row["context_sha256"] for row in predictions_of(run)]
    assert digests == [context_digest(row.context) for row in validation]
    assert len(set(digests)) == 60


def test_compare_leaves_out_what_chose(runs):
    (pair,) = side_by_side(sorted(runs.glob("divided/*"))).pairs
    assert pair.comparison.total == 96 and pair.comparison.left_out == 24 and not pair.warning


def test_a_run_is_shown_with_the_fresh_scores_first(runs, run, verb):
    code, out, err = verb("runs", "show", str(run))
    assert code == 0, err
    assert "48 train and 120 validation questions, 24 of which choose the best weights" in out
    assert out.index("val/loss") < out.index("choosing/exact_match")
    code, out, _ = verb("runs", "compare", *map(str, sorted(runs.glob("divided/*"))))
    assert code == 0 and out.index("val/loss") < out.index("choosing/exact_match")
    _, out, _ = verb("runs", "list", "--sort", "val/f1", "--runs", str(runs))
    assert "choosing" not in out
    _, _, err = verb("runs", "list", "--sort", "f1", "--runs", str(runs))
    assert "did you mean val/f1?" in err


def test_evaluate_tells_the_fresh_score_first(runs, run, verb):
    code, out, _ = verb("evaluate", "divided/", "--runs", str(runs))
    assert code == 2 and out == ""
    code, out, err = verb("evaluate", str(run))
    assert code == 0, err
    assert re.search(r"^all +96 ", out, re.MULTILINE)
    said = r"^24 more questions chose the best weights and are scored apart: exact match [\d.]+ \["
    assert re.search(said, out, re.MULTILINE)
    _, out, _ = verb("evaluate", str(run), "--json")
    scores, best = json.loads(out), read_record(run)["best"]
    assert scores["total"] == 96 and scores["f1"] == pytest.approx(best["val/f1"], abs=1e-4)
    apart = scores["choosing"]
    assert apart["total"] == 24
    assert apart["f1"]["value"] == pytest.approx(best["choosing/f1"], abs=1e-4)
    written = run / "predictions/validation-best"
    assert len(json.loads((written / "predictions.json").read_text())) == 120
    assert json.loads((written / "scores.json").read_text())["choosing"] == apart


def test_evaluate_says_what_of_another_file_chose(run, verb, validation, tmp_path):
    chose = {row["id"] for row in predictions_of(run) if row["chose"]}
    some = [row for row in validation if row.id in chose][:4]
    others = [row for row in validation if row.id not in chose][:6]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(squad_json([*some, *others], "1.1")))
    code, out, err = verb("evaluate", str(run), "--data", str(path), "--json")
    assert code == 0 and json.loads(out)["total"] == 10
    assert "4 of 10 questions chose the best weights" in err and "(4 by id, 4 by context)" in err
    copy = tmp_path / "runs" / "copied" / run.name
    shutil.copytree(run, copy)
    said = verb("efficacy", str(copy), "--data", str(path))[2]
    assert "4 of 10 questions chose the best weights" in said
    path.write_text(json.dumps(squad_json(others, "1.1")))
    assert "chose" not in verb("evaluate", str(run), "--data", str(path))[2]


def test_a_run_without_predictions_says_that_it_is_not_known_what_chose(
    run, verb, validation, tmp_path
):
    copy = tmp_path / "copied" / run.name
    shutil.copytree(run, copy)
    (copy / "predictions/validation.json").unlink()
    path = tmp_path / "other.json"
    path.write_text(json.dumps(squad_json(validation[:4], "1.1")))
    code, _, err = verb("evaluate", str(copy), "--data", str(path))
    assert (
        code == 0 and "whether some of these questions chose the best weights cannot be said" in err
    )


def test_efficacy_asks_those_that_chose_nothing_by_their_index_in_the_split(
    run, verb, validation, tmp_path
):
    copy = tmp_path / "runs" / "divided" / run.name
    shutil.copytree(run, copy)
    code, out, err = verb("efficacy", str(copy), "--questions", "96", "--json")
    assert code == 0, err
    (state,) = json.loads(out)
    assert state["is_whole"] and state["source"]["questions"] == 96
    fresh = {row["id"] for row in predictions_of(run) if not row["chose"]}
    asked = state["found"][0]["rows"]
    assert {row["id"] for row in asked} == fresh
    assert all(validation[row["number"]].id == row["id"] for row in asked)
    code, out, err = verb("efficacy", str(copy), "--questions", "97", "--json")
    (state,) = json.loads(out)
    # All of them have been asked.
    assert code == 0 and state["source"]["questions"] == 96 and not state["found"], err


@pytest.mark.parametrize(
    ("override", "setting"),
    [
        ("checkpoint.monitor=val/f1", "checkpoint.monitor=val/f1 is a score that is reported"),
        ("+train.stop_at={val/loss: 1}", "train.stop_at: val/loss is a score that is reported"),
    ],
)
def test_what_is_claimed_may_not_choose(tiny, override, setting):
    with pytest.raises(ValueError, match=re.escape(setting)) as refusal:
        train(tiny("data.validation_questions=120", override))
    used = override.partition("val/")[2].partition(":")[0]
    assert f"use choosing/{used}, or data.choosing_share=1 to let all questions choose" in str(
        refusal.value
    )
    assert not directory_of(tiny("data.validation_questions=120", override)).exists()


def test_where_all_choose_both_names_are_the_same_score_and_it_is_said(tiny, caplog):
    config = tiny()
    with caplog.at_level(logging.INFO, "qa_research"):
        train(config)
    said = "All 16 validation questions choose the best weights (fewer than 100 are not divided)"
    assert said in caplog.text
    best = read_record(directory_of(config))["best"]
    for name, value in best.items():
        assert best[name.replace("val/", "choosing/")] == value
    assert all(row["chose"] for row in predictions_of(directory_of(config)))


def test_by_request_all_choose_and_either_name_may_be_used(tiny):
    train(tiny("data.choosing_share=1.0", "checkpoint.monitor=val/f1"))
    with pytest.raises(ValueError, match="use choosing/f1, or data.choosing_share=1"):
        train(tiny("checkpoint.monitor=val/f1"))


def test_a_training_ends_by_the_questions_that_choose_and_says_how_many(tiny, caplog):
    config = tiny("data.validation_questions=120", "+train.stop_at={choosing/loss: 1000}")
    with caplog.at_level(logging.INFO, "qa_research"):
        train(config)
    assert len(validation_rows(directory_of(config))) == 1
    chose = read_record(directory_of(config))["questions"]["choosing"]
    said = "validation questions (data.choosing_share=0.2, data.seed=0) choose the best weights"
    assert f"{chose} of the {said}" in caplog.text
    assert f"{120 - chose} questions; the {chose} that chose these weights score" in caplog.text


@pytest.mark.parametrize("call", [2, 5])
def test_stopped_and_resumed_it_is_the_uninterrupted_one(tiny, tmp_path, call):
    settings = [
        "data.validation_questions=120",
        "model._target_=tests.training.signalling.Signalling",
    ]
    whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
    train(whole)
    config = tiny(*settings)
    Signalling.follow(Plan("training", call, signal.SIGTERM))
    try:
        with pytest.raises(Stopped):
            train(config)
    finally:
        Signalling.follow()
    train(config)
    assert result_of(directory_of(config)) == result_of(directory_of(whole))
    ours, theirs = directory_of(config), directory_of(whole)
    assert predictions_of(ours) == predictions_of(theirs)
    assert read_record(ours)["best"] == read_record(theirs)["best"]
    assert "choosing/f1" in rows_of(ours)[0]
