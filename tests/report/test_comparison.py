from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from qa_research.report.comparison import Report, names_of, read_report
from qa_research.report.measures import Curve, RouteOverTime, read_curves, route_over_time
from qa_research.report.several import several_report
from qa_research.report.sources import Source
from qa_research.report.story import page_of
from qa_research.runs.compare import differences
from qa_research.runs.directory import flattened
from qa_research.runs.store import read_entry
from qa_research.stats import exact_ratio
from qa_research.watch.film import make_film
from tests.fake_runs import CONFIG, write_run
from tests.watch.recordings import describe, make_logits

EXACT = {
    "name": "val/exact_match",
    "label": "exact match",
    "short": "EM",
    "better": "higher",
    "per_example": "exact_match",
    "scale": 100.0,
}
STEPS = [0, 10, 20, 30, 40]


def entries(tmp_path, *changes, right=None):
    """Runs whose model has these changes."""
    return [
        read_entry(
            write_run(
                tmp_path, n, right=right, config={"seed": 1, "model": CONFIG["model"] | change}
            )
        )
        for n, change in enumerate(changes, 1)
    ]


def named(found):
    """What runs are called beside each other."""
    return names_of(found, differences([flattened(entry.config) for entry in found]))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (
            [{"weights": "random"}, {"weights": "package:a/b"}],
            ["random weights", "pretrained weights"],
        ),
        (
            [{"weights": "random"}, {"weights": "package:a/b"}, {"weights": "c/d"}],
            ["random weights", "weights of package:a/b", "weights of c/d"],
        ),
        ([{"lr": 0.001}, {"lr": 0.0003}], ["lr 0.001", "lr 0.0003"]),
    ],
)
def test_runs_are_called_by_what_differs(tmp_path, changes, names):
    assert named(entries(tmp_path, *changes)) == names


def test_runs_that_differ_in_much_or_in_nothing_are_called_by_letters(tmp_path):
    many = entries(tmp_path, {"lr": 0.1, "name": "a", "weights": "b"}, {})
    assert named(many) == named([many[0], many[0]]) == ["run A", "run B"]


def test_scores_are_of_the_examples_that_chose_nothing(tmp_path):
    right = [1.0] * 30 + [0.0] * 10
    directory = write_run(tmp_path, 1, right=right, chose=range(35, 40))
    source = Source(directory)
    score = source.scores[EXACT["name"], "all"]
    assert source.kinds == ["all"]
    exact = exact_ratio(30, 35)
    assert score.total == 35 and score.value == pytest.approx(100 * 30 / 35)
    assert (score.low, score.high) == pytest.approx((100 * exact.low, 100 * exact.high), abs=0.01)
    assert Source(write_run(tmp_path, 2)).scores == {}


def test_curves_are_read_by_kind(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,train/loss,val/exact_match,val/exact_match_match,val/f1\n"
        "0,1,2.5,,,\n0,2,2.0,,,\n0,2,,40.0,30.5,50\n0,3,nan,,,\n"
    )
    curves = read_curves(tmp_path, EXACT)
    assert set(curves) == {"all", "match"}
    assert curves["match"].steps.tolist() == [2] and curves["match"].values.tolist() == [30.5]
    assert read_curves(tmp_path / "not trained yet", EXACT) == {}


def test_the_route_is_the_mean_of_the_questions_that_have_the_words():
    weight = np.zeros((2, 3, 2, 2, 2, 2))  # step, question, layer, head, source, target
    weight[:, :, 0, 1, 1, 1] = [[0.1, 0.3, np.nan], [0.5, 0.7, np.nan]]
    weight[:, 2] = np.nan
    heads = xr.Dataset(
        {"group_weight": (("step", "question", "layer", "head", "source", "target"), weight)},
        coords={
            "step": [0, 10],
            "layer": [2, 4],
            "source": ["cls", "answer"],
            "target": ["sep", "match_context"],
        },
    )
    route = route_over_time(heads)
    np.testing.assert_allclose(route.weight[:, 0, 1], [0.2, 0.6])
    assert route.layers == (2, 4) and route.rose_most() == (0, 1)
    assert route_over_time(heads * np.nan) is None


def reported(entry, name, films, route=None):
    """A run whose files are few, with these films and this route as if they had been recorded."""
    source = Source(entry.directory)
    source.name, source.films, source.route = name, films, route
    source.curves = {"all": Curve(np.array([10, 40]), np.array([20.0, 90.0]))}
    return source


def films_of(right_at, rows):
    """The film of each question, which becomes right at a step; None: never."""
    found = []
    for i, row in enumerate(rows):
        film = make_film(row, i, make_logits(rows, STEPS, 20))
        step = right_at[i]
        right = np.array([step is not None and at >= step for at in STEPS])
        found.append(replace(film, right=right, true_probability=0.1 + 0.8 * right))
    return found


def test_the_question_that_one_run_learned_and_another_did_not_comes_first(tmp_path):
    rows = [describe(number=i) | {"kind": "match" if i % 2 else "lookup"} for i in range(4)]
    rows[3]["split"] = "train"
    first = films_of([20, 20, 20, 20], rows)
    second = films_of([20, None, None, None], rows)
    second.append(replace(second[0], question_id="q9"))  # watched by one only
    (entry,) = entries(tmp_path, {})
    runs = [reported(entry, "a", first), reported(entry, "b", second)]
    runs[0].record = {"guessing": {"lookup": 100.0, "match": 30.0}}
    report = Report(runs)
    # q1 is harder to guess than q2; q3 is of training; q0 both learned.
    assert report.shared_questions == ["q1", "q2", "q3", "q0"]


def make_report(tmp_path, question=None, name="b"):
    row = question or describe()
    made = entries(tmp_path, {"weights": "random"}, {"weights": "package:a/b"}, right=[1.0, 0.0])
    weight = np.zeros((2, 2, 3))
    risen = weight.copy()
    risen[1, 1, 2] = 0.75
    runs = [
        reported(
            made[0], "a", films_of([None], [row]), RouteOverTime(np.array([0, 40]), (2, 4), weight)
        ),
        reported(
            made[1], name, films_of([20], [row]), RouteOverTime(np.array([0, 40]), (2, 4), risen)
        ),
    ]
    for number, run in enumerate(runs):
        run.number, run.siblings = number, runs
        run.record = {"status": "finished", "guessing": {"all": 30.0}, "steps": 5, "train_s": 1}
    return Report(runs)


def make_page(tmp_path, question=None, name="b", title="two runs"):
    """The page of the report, and the report."""
    report = make_report(tmp_path, question, name)
    return page_of(several_report(report, title), report.runs), report


def test_what_a_run_has_not_recorded_is_said_with_its_name(tmp_path):
    found = entries(tmp_path, {"lr": 0.1}, {"lr": 0.2})
    missing = read_report([entry.directory for entry in found]).missing
    assert len(missing) == 4 and [line[:7] for line in missing] == ["lr 0.1:"] * 2 + ["lr 0.2:"] * 2
    assert "nothing was recorded" in missing[0] and "not been validated" in missing[1]
