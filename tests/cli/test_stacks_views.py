"""The views of sampled stacks, as their verbs print them."""

import json

import pytest

from qa_research.cli import stacks_views as verbs
from tests.stacks.recordings import SHARES, make_recording, write_sampled_run

SLOW = SHARES | {"wait": 0.6}


@pytest.fixture
def runs(tmp_path):
    """The folder of two sampled runs, the second one with a slow loader, and of a program's recording."""
    write_sampled_run(tmp_path, 1, make_recording(steps=60))
    write_sampled_run(tmp_path, 2, make_recording(SLOW, steps=60, seed=2))
    return tmp_path


def test_the_tree_shows_shares_places_and_code(runs, capsys):
    verbs.tree("s1-", runs=runs)
    first, _, root, backward, *_ = capsys.readouterr().out.splitlines()
    assert "trainer/trainer.py:fit is in " in first and "Its share is 100 %" in first
    assert root == (
        "100.0%  fit → advance  trainer/trainer.py:584  call._call_and_handle_interrupt("
    )
    assert backward.endswith(
        "_engine_run_backward  autograd/graph.py:1072  return engine.run_backward("
    )
    verbs.tree("s1-", start="graph.py:_engine_run_backward", runs=runs, as_json=True)
    made = json.loads(capsys.readouterr().out)
    assert made["calls"][0]["share"] == 1.0 and made["recordings"] == [1]


def test_a_search_shows_share_phases_and_callers(runs, capsys):
    verbs.search("dropout", "s1-", runs=runs)
    out = capsys.readouterr().out
    assert "'dropout' is in " in out and "In the phases: forward 100%" in out
    assert "return _VF.dropout(input, p, training)  forward transformers/bert.py:187 (100%)" in out
    verbs.search("nowhere", "s1-", runs=runs, as_json=True)
    made = json.loads(capsys.readouterr().out)
    assert made["share"]["samples"] == 0 and made["share"]["high"] > 0 and made["lines"] == []


def test_a_comparison_shows_what_grew(runs, capsys):
    verbs.compare("s1-", "s2-", runs=runs)
    out = capsys.readouterr().out
    assert out.startswith("Waiting for data went from ")
    assert "s a step, A" in out and "< 0.001" in out
    assert "__next__  data/dataloader.py:700" in out
    verbs.compare("s1-", "s2-", runs=runs, as_json=True)
    made = json.loads(capsys.readouterr().out)
    assert made["lines"][0]["function"] == "__next__" and made["notes"] == []
    assert made["stepping"][0]["steps"] == 58


def test_the_flame_graph_is_a_page_in_the_run(runs, capsys):
    verbs.show_flame("s2-", runs=runs)
    (path,) = runs.glob("nopretrain/*-s2-*/flame.html")
    assert capsys.readouterr().out == f"Page  {path}\n"
    page = path.read_text(encoding="utf-8")
    assert "<h1>Where the time goes</h1>" in page and '<p class="verdict">slow loader: ' in page


def test_the_file_for_speedscope_goes_into_the_run_or_where_it_is_told(runs, capsys, tmp_path):
    verbs.speedscope("s1-", runs=runs)
    out = capsys.readouterr().out
    (path,) = runs.glob("nopretrain/*-s1-*/stacks.speedscope.json")
    assert out == f"Profile  {path}\n"
    verbs.speedscope("1", out=tmp_path / "elsewhere", runs=runs, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {"profile": str(tmp_path / "elsewhere" / "stacks.speedscope.json")}
    verbs.speedscope("2", runs=runs)
    assert (runs / "stacks-2" / "stacks.speedscope.json").is_file()
