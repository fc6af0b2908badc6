from dataclasses import replace

import numpy as np
import pytest

from qa_research.explain.images.show import show_explanation, show_sweep
from qa_research.explain.images.trust import Verdict
from tests.explain.images.explanations import loaded, with_ties


@pytest.fixture
def printed(capsys):
    def run(show, *words, **choices):
        show(*words, **choices)
        return capsys.readouterr().out

    return run


def rows_of(out):
    """The lines of the table of segments: rank, segment, mark."""
    lines = out[out.index("rank  segment") :].splitlines()[1:]
    cells = [line.split() for line in lines]
    return [(int(row[0]), int(row[1]), " ".join(row[7:])) for row in cells if len(row) > 6]


def test_the_whole_stable_top_is_shown_and_every_tie_is_marked(tmp_path, printed):
    found = with_ties(tmp_path, counterfactual=False)
    rows = rows_of(printed(show_explanation, found))
    marks = ["tied 1-2"] * 2 + ["tied 3-6"] * 4
    assert rows == [(rank, found.order[rank - 1], mark) for rank, mark in enumerate(marks, start=1)]
    asked = rows_of(printed(show_explanation, with_ties(tmp_path, top=7, counterfactual=False)))
    assert [row[0] for row in asked] == list(range(1, 8)) and asked[6][2] == "tied 7-9"


def test_what_was_not_checked_and_not_tried_is_said(tmp_path, printed):
    found = with_ties(tmp_path)
    out = printed(show_explanation, found)
    assert "No check contradicts the explanation (not checked: deletion, insertion)." in out
    assert "Not tried: another segmenter than grid or another baseline than grey" in out
    assert "-m 'image=<a \"b\">.png' segmenter=grid,quickshift lime.baseline=grey,blur" in out
    assert "Not tried" not in printed(show_explanation, found, of_sweep=True)


def test_one_segment_is_one_and_the_second_explanation_is_named_once(tmp_path, printed):
    found = with_ties(tmp_path, top=1)
    again = replace(
        found.counterfactual.explained_again,
        verdict=Verdict("doubtful", (), "The top 1 is stable: all 3 seeds name it."),
    )
    counterfactual = replace(found.counterfactual, explained_again=again)
    out = printed(show_explanation, replace(found, counterfactual=counterfactual))
    (number,) = found.counterfactual.segments
    assert f"Without segment {number} (50 % of the picture)" in out
    assert out.count("Explained again") == 1 and "Its top 1: segment " in out
    assert "R2" not in out and "R² 0.50" in out


def test_a_sweep_compares_areas_and_fits_on_a_terminal(tmp_path, printed, monkeypatch):
    first = with_ties(tmp_path / "a")
    turned = first.arrays.segments.T.copy()
    other = replace(first, arrays=replace(first.arrays, segments=turned))
    elsewhere = replace(first, picture=replace(first.picture, sha256="1" * 64))
    jobs = [("quickshift", "grey"), ("felzenszwalb", "grey"), ("slic", "noise")]
    done = [
        (["image=cup.png", f"segmenter={one}", f"lime.baseline={off}"], found)
        for (one, off), found in zip(jobs, (first, other, elsewhere), strict=True)
    ]
    out = printed(show_sweep, done)
    lines = out.strip().splitlines()
    assert lines[0] == "image=cup.png: espresso 0.900"
    assert lines[1].split()[:4] == ["segmenter", "baseline", "verdict", "stable"]
    assert lines[2].split()[-1] == "first"
    tops = [np.isin(one, first.order[:4]) for one in (first.arrays.segments, turned)]
    shared = (tops[0] & tops[1]).sum() / (tops[0] | tops[1]).sum()
    assert lines[3].split()[-2] == f"{shared:.2f}" and 0.2 < float(lines[3].split()[-1]) < 0.4
    assert lines[4].split()[-2:] == ["-", "-"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    folded = printed(show_sweep, done)
    assert all(word in folded for job in jobs for word in job)
    assert max(len(line) for line in out.splitlines()[2:5]) <= 80


def test_a_sweep_of_labels_names_each_class(tmp_path, printed):
    found = loaded(tmp_path / "a")
    cup = replace(found, explained=replace(found.explained, label="cup"))
    out = printed(show_sweep, [(["label=espresso"], found), (["label=cup"], cup)])
    assert "label" in out and "espresso 0.900" in out and "cup 0.900" in out
