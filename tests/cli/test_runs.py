import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from qa_research.cli import main as cli
from tests.fake_runs import record_of, running, write_run

NAME = "bert_tiny-random-s{0}-0000000{0}"


@pytest.fixture
def runs(tmp_path) -> Path:
    folder = tmp_path / "runs"
    write_run(folder, 1, [1.0] * 40 + [0.0] * 60)
    write_run(folder, 2, [1.0] * 70 + [0.0] * 30)
    write_run(folder, 3, record=record_of(3, status="interrupted", study="pretrained"))
    write_run(folder, 4, record=running(4))
    return folder


@pytest.fixture
def verb(verb, runs):
    """Run a verb on the four runs in this process: (exit code, stdout, stderr)."""
    return lambda *arguments: verb("runs", *arguments, "--runs", str(runs))


def test_list_has_a_line_a_run_the_newest_first(verb):
    code, out, err = verb("list")
    header, *lines, legend, count = out.splitlines()
    assert (code, err) == (0, "")
    assert header.split()[:6] == "run status data weights val/exact_match val/f1".split()
    assert [line.split()[0][-1] for line in lines] == ["4", "3", "2", "1"]
    started = datetime.fromisoformat("2025-11-03T07:35:00+00:00").astimezone()
    assert lines[1].split()[:8] == [
        f"pretrained/{NAME.format(3)}",
        *("interrupted", "builtin", "random", "63.00", "70.25", "1003"),
        started.strftime("%Y-%m-%d"),
    ]
    assert lines[0].split()[1:7] == ["killed", "builtin", "random", "-", "-", "-"]
    assert legend.startswith("killed: run.json says running") and count.startswith("4 runs, ")


def test_list_sorts_and_shows_what_it_sorts_by(verb):
    _, out, _ = verb("list", "--sort", "val/loss")
    header, *lines = out.splitlines()
    assert "val/loss" in header and [line.split()[0][-1] for line in lines[:4]] == list("3214")
    code, out, err = verb("list", "--sort", "f1")
    assert code == 2 and out == "" and "did you mean val/f1?" in err


def test_list_of_one_study(verb):
    _, out, _ = verb("list", "--study", "pretrained")
    assert out.splitlines()[-1].startswith("1 run, ")
    code, _, err = verb("list", "--study", "else")
    assert code == 2 and "--study else has no runs; these have: nopretrain, pretrained" in err


def test_lists_as_json_stand_alone(verb, runs):
    verb("scan")
    write_run(runs, 5)
    code, out, err = verb("list", "--json")
    found = json.loads(out)
    assert code == 0 and [run["status"] for run in found["runs"]] == [
        *("killed", "interrupted", "finished", "finished"),
    ]
    assert found["runs"][3]["scores"]["val/exact_match"] == 61
    assert found["runs"][3]["size_bytes"] > 15000
    assert "not in the ledger" in err and found["notes"] == [err.strip()]


def test_list_of_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["qa-research", "runs", "list", "--runs", str(tmp_path)])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out == "no runs yet\n"


def test_show_has_all_of_a_run(verb, runs):
    code, out, _ = verb("show", "s3-")
    assert code == 0
    for part in (
        "interrupted",
        f"next          qa-research resume {runs}/pretrained/{NAME.format(3)}",
        "checkpoints 15.0 kB",
        "best, last, 50",
        "2,000 train and 200 validation questions",
        "val/exact_match  63.00",
        "torch 2.14.1",
        "validation bbbbbbbbbbbb",
        "commit        0123456789abcdef",
        "    lr: 0.001",
    ):
        assert part in out
    # The predictions of these runs do not say which questions are about one paragraph.
    assert "do not say which questions belong together" in verb("show", "s1-")[1]
    _, out, _ = verb("show", "s4-")
    assert "killed: run.json says running" in out and "  none yet" in out
    _, out, _ = verb("show", "s1-", "--json")
    found = json.loads(out)
    assert found["checkpoints"] == ["best", "last", "50"] and found["config"]["seed"] == 1
    assert found["go_on"].startswith("qa-research evaluate ")
    assert found["best_95"]["val/f1"]["low"] < found["best_95"]["val/f1"]["high"]


def test_compare_says_what_differs_and_which_is_better(verb):
    code, out, _ = verb("compare", "s1-", "s2-", "s3-")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["seed", "1", "2", "3"] in lines and [
        "val/exact_match",
        "61.00",
        "62.00",
        "63.00",
    ] in lines
    assert "B is better in exact match and F1 on these 100 questions" in out
    assert f"C against A: pretrained/{NAME.format(3)} has no predictions yet" in out
    _, out, _ = verb("compare", "s1-", "s2-", "--json")
    assert json.loads(out)["pairs"][0]["comparison"]["only_second"] == 30


def test_compare_needs_runs_that_are_there(verb):
    code, out, err = verb("compare", "s1-", "s9-")
    assert code == 2 and out == "" and "no run 's9-'" in err and err.count("\n") == 1
    code, _, err = verb("compare", "s1-")
    assert code == 2 and "at least two runs" in err


def test_scan_counts_drops_and_names(verb, runs):
    verb("scan")
    (runs / "pretrained" / NAME.format(3)).rename(runs.parent / "elsewhere")
    (runs / "nopretrain" / NAME.format(1) / "run.json").write_text("{")
    code, out, err = verb("scan")
    assert code == 0
    assert f"dropped, its directory is gone: pretrained/{NAME.format(3)}" in out
    assert "2 runs in" in out and f"skipped: nopretrain/{NAME.format(1)}: " in err
    _, out, _ = verb("scan", "--json")
    assert json.loads(out)["found"] == 2


def test_remove_asks_for_yes_where_nobody_can_be_asked(verb, runs):
    directory = runs / "nopretrain" / NAME.format(4)
    code, _, err = verb("remove", "s4-")
    assert code == 2 and "only a part of a name" in err and directory.is_dir()
    code, _, err = verb("remove", str(directory))
    assert code == 2 and "is deleted only with --yes" in err and directory.is_dir()
    code, out, _ = verb("remove", str(directory), "--yes")
    assert code == 0 and out.startswith(f"deleted {directory} (") and not directory.exists()
    _, out, _ = verb("list")
    assert NAME.format(4) not in out


def test_a_terminal_that_is_too_narrow_gets_names_whole(runs, monkeypatch, capsys):
    from qa_research.runs.listing import list_runs
    from qa_research.runs.show import show_list

    # Rich takes this for a terminal of 80 columns without colours.
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    show_list([(run, 0) for run in list_runs(runs).runs], ["val/exact_match", "val/f1"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"pretrained/{NAME.format(3)}" in lines


def test_listing_imports_nothing_heavy(runs):
    code = (
        "import sys; sys.argv = ['qa-research', 'runs', 'list']\n"
        "from qa_research.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'transformers', 'hydra', 'numpy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=runs.parent)
