"""Runs side by side: what differs, and which can be compared."""

import json
import math

import pytest

from qa_research.runs.compare import best_intervals, flattened, read_shares, side_by_side
from qa_research.stats import exact_ratio
from qa_research.tasks.earlier_configs import ANSWERING
from tests.fake_runs import CONFIG, record_of, running, write_run

WORSE = [1.0] * 40 + [0.0] * 60
BETTER = [1.0] * 70 + [0.0] * 30


def test_what_differs_is_found_and_sorted_by_whether_it_matters(tmp_path):
    model = {**CONFIG["model"], "lr": 3e-4, "dropout": 0.1}
    first = write_run(tmp_path, 1, WORSE)
    second = write_run(
        tmp_path,
        2,
        BETTER,
        config={"model": model, "paths": {"runs": "/else"}},
        record=record_of(2, versions={"torch": "2.15.0"}, git=None),
    )
    found = side_by_side([first, second]).as_json()
    assert found["config"] == {
        "seed": {"A": 1, "B": 2},
        "model.lr": {"A": 1e-3, "B": 3e-4},
        "model.dropout": {"B": 0.1},
    }
    assert found["without_effect"] == {"paths.runs": {"A": "runs", "B": "/else"}}
    assert found["making"]["versions.torch"] == {"A": "2.14.1", "B": "2.15.0"}
    assert found["making"]["git.commit"] == {"A": "0123456789abcdef", "B": None}
    assert found["scores"]["val/exact_match"] == {"A": 61.0, "B": 62.0}
    assert json.loads(json.dumps(found)) == found


def test_each_run_is_compared_with_the_first(tmp_path):
    rights = ((1, WORSE), (2, BETTER), (3, WORSE))
    runs = [write_run(tmp_path, n, right, chose=()) for n, right in rights]
    better, equal = side_by_side(runs).pairs
    assert better.verdict.startswith("B is better in exact match and F1 on these 100 questions")
    assert better.comparison and better.comparison.only_second == 30
    assert equal.verdict == "A and C score equally on these 100 questions."


def test_runs_are_compared_on_the_questions_that_chose_neither(tmp_path):
    # On those that chose it, each run was lucky: A on the first 30, B on 10 more.
    first = write_run(tmp_path, 1, [1.0] * 30 + [0.0] * 70, chose=range(30))
    second = write_run(tmp_path, 2, [0.0] * 30 + [1.0] * 10 + [0.0] * 60, chose=range(20, 40))
    (pair,) = side_by_side([first, second]).pairs
    assert pair.verdict == (
        "A and B score equally on these 60 questions (40 more chose a checkpoint and are left out)."
    )
    assert pair.comparison.total == 60 and pair.comparison.left_out == 40 and pair.warning == ""
    found = pair.as_json()["comparison"]
    assert (found["total"], found["left_out"], found["chosen_on"]) == (60, 40, False)


@pytest.mark.parametrize(
    ("chose", "numbers", "said"),
    [
        # As version 0.2 and before wrote it.
        ((None, None), (84, 6), "(A the best of 84 validations, B of 6), which favours A."),
        ((None, None), (6, 1084), "(A the best of 6 validations, B of 1,084), which favours B."),
        (
            (None, range(20)),
            (20, 20),
            "validations, B of 20), so that both scores are partly luck.",
        ),
        # B is the best of more validations, but 80 of the questions are new to it.
        ((None, range(20)), (20, 40), "B of 40), so that both scores are partly luck."),
        ((range(60), range(50, 100)), (5, 0), "B of an unknown number of), so that both scores"),
    ],
)
def test_where_all_questions_chose_they_are_compared_with_a_warning(tmp_path, chose, numbers, said):
    runs = [
        write_run(tmp_path, n + 1, right, chose=chose[n], validations=numbers[n])
        for n, right in enumerate((WORSE, BETTER))
    ]
    (pair,) = side_by_side(runs).pairs
    assert pair.comparison.chosen_on and pair.comparison.total == 100
    assert "on these 100 questions. " in pair.verdict and pair.verdict.endswith(pair.warning)
    assert pair.warning.startswith("Each of these questions chose at least one of the checkpoints")
    assert said in pair.warning and pair.warning.count(". ") == 0
    assert json.loads(json.dumps(pair.as_json()))["warning"] == pair.warning


def test_a_run_that_does_not_say_what_chose_it_as_truth_or_falsehood_is_refused(tmp_path):
    runs = [write_run(tmp_path, n, WORSE, chose=()) for n in (1, 2)]
    path = runs[1] / "predictions" / "validation.json"
    path.write_text(path.read_text().replace("false", '"no"', 1))
    (pair,) = side_by_side(runs).pairs
    assert "in row 0 chose='no': should be a valid boolean" in pair.refused


def test_runs_on_other_questions_are_not_paired(tmp_path):
    prints = record_of(2)["fingerprints"] | {"validation": "dd" * 32}
    runs = [
        write_run(tmp_path, 1, WORSE),
        write_run(tmp_path, 2, BETTER, record=record_of(2, fingerprints=prints)),
        write_run(tmp_path, 3, BETTER),
    ]
    found = side_by_side(runs)
    assert found.scores["val/f1"] == [70.25] * 3
    other, same = found.pairs
    assert other.comparison is None and "validated on different questions" in other.verdict
    assert same.comparison is not None


@pytest.mark.parametrize("without", [0, 1])
def test_a_run_without_predictions_is_not_paired(tmp_path, without):
    rights = [None if n == without else WORSE for n in range(2)]
    runs = [write_run(tmp_path, n + 1, right) for n, right in enumerate(rights)]
    (pair,) = side_by_side(runs).pairs
    assert f"{runs[without].name} has no predictions yet" in pair.verdict


def test_an_unfinished_run_is_compared_with_what_it_has_so_far(tmp_path):
    runs = [write_run(tmp_path, 1, WORSE), write_run(tmp_path, 2, BETTER, record=running(2))]
    found = side_by_side(runs)
    assert found.statuses == ["finished", "killed"]
    assert found.pairs[0].comparison is not None
    assert found.as_json()["scores"]["val/f1"] == {"A": 70.25}


def test_predictions_of_other_questions_are_found_out(tmp_path):
    runs = [write_run(tmp_path, 1, WORSE), write_run(tmp_path, 2, BETTER[1:])]
    (pair,) = side_by_side(runs).pairs
    assert "their predictions are not for the same questions" in pair.refused


def test_damaged_predictions_are_named(tmp_path):
    directory = write_run(tmp_path, 1, WORSE)
    whole = json.loads((directory / "predictions" / "validation.json").read_text())
    damaged = {
        "": "is not valid JSON",
        "{": "is not valid JSON",
        "[" * 100_000: "nested too deeply",
        '[{"id": ' + "[" * 300 + "]" * 300 + "}]": "nested too deeply",
        "null": "has None: should be a valid list",
        "{}": "has {}: should be a valid list",
        "[]": "has \\[\\]: list should have at least 1 item",
        "[1]": "has in row 0 1: should be a valid dictionary",
        '[{"id": "q0"}]': "has in row 0 no exact_match",
        json.dumps(
            [*whole[:2], whole[2] | {"f1": math.nan}]
        ): "in row 2 f1=nan: should be a finite number",
        json.dumps(
            [*whole[:2], whole[2] | {"f1": math.inf}]
        ): "in row 2 f1=inf: should be a finite number",
        json.dumps([whole[0] | {"f1": "0.5"}]): "in row 0 f1='0.5': should be a valid number",
        json.dumps([whole[0] | {"f1": True}]): "in row 0 f1=True: should be a valid number",
        json.dumps([whole[0] | {"id": None}]): "in row 0 id=None: should be a valid string",
        json.dumps([whole[0] | {"f1": 10**400}]): "has an integer of more than 64 bits: 0.f1",
    }
    other = write_run(tmp_path, 2, BETTER)
    for text, sentence in damaged.items():
        (directory / "predictions" / "validation.json").write_text(text)
        with pytest.raises(ValueError, match=sentence) as refusal:
            read_shares(directory, ANSWERING["metrics"])
        said = str(refusal.value)
        assert said.startswith(str(directory)) and "everything else of the run still works" in said
        assert "\n" not in said and len(said) < 700
        (pair,) = side_by_side([directory, other]).pairs
        assert pair.comparison is None and said in pair.verdict


def test_a_comparison_needs_two_different_runs(tmp_path):
    run = write_run(tmp_path, 1, WORSE)
    with pytest.raises(ValueError, match="at least two runs"):
        side_by_side([run])
    with pytest.raises(ValueError, match="are the same run"):
        side_by_side([run, run])
    with pytest.raises(ValueError, match="at most 26"):
        side_by_side([run] * 27)


def test_nested_keys_become_dotted_ones():
    assert flattened({"a": {"b": {"c": 1}, "d": {}}, "e": [1]}) == {"a.b.c": 1, "a.d": {}, "e": [1]}


def test_the_best_scores_have_intervals_from_their_predictions(tmp_path):
    directory = write_run(tmp_path, 1, WORSE)
    found = best_intervals(directory, ANSWERING["metrics"])
    exact = exact_ratio(40, 100)
    assert found["val/exact_match"].low == pytest.approx(100 * exact.low)
    assert found["val/f1"].high == pytest.approx(100 * exact.high)
    assert found["val/f1"].wider is None
    path = directory / "predictions" / "validation.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([row | {"paragraph": i // 10} for i, row in enumerate(rows)]))
    together = best_intervals(directory, ANSWERING["metrics"])["val/f1"]
    assert together.wider > 2 and together.low < 100 * exact.low
    # The scores that are told are those of questions that chose nothing.
    path.write_text(json.dumps([row | {"chose": i < 20} for i, row in enumerate(rows)]))
    fresh = best_intervals(directory, ANSWERING["metrics"])["val/exact_match"]
    assert fresh.low == pytest.approx(100 * exact_ratio(20, 80).low)
    path.write_text(json.dumps([row | {"paragraph": "a"} for row in rows]))
    with pytest.raises(ValueError, match="paragraph='a'"):
        best_intervals(directory, ANSWERING["metrics"])
