"""The place of a run, and finding it by a part of its name."""

import json
import os

import pytest

from qa_research.runs.directory import (
    check_writable,
    config_hash,
    find_run,
    lock,
    run_directory,
    set_aside,
)

CONFIG = {
    "study": "s",
    "seed": 3,
    "model": {"name": "tiny", "weights": "package:some_package/model", "lr": 0.1},
    "data": {"num_workers": 0, "batch_size": 4},
    "train": {"resume": "auto", "progress": "auto", "threads": None},
    "paths": {"runs": "there", "cache": "c"},
}


def changed(section: str, **changes):
    return CONFIG | {section: CONFIG[section] | changes}


def test_the_directory_follows_from_the_config():
    path = run_directory(CONFIG)
    assert str(path) == f"there/s/tiny-some_package-s3-{config_hash(CONFIG)}"


def test_what_cannot_change_a_result_does_not_move_the_run():
    for section, changes in (
        ("paths", {"runs": "x", "cache": "y"}),
        ("train", {"resume": "never", "progress": "none"}),
        ("data", {"num_workers": 2}),
    ):
        assert config_hash(changed(section, **changes)) == config_hash(CONFIG)


def test_what_can_change_a_result_moves_the_run():
    others = [changed("model", lr=0.2), changed("data", batch_size=5), CONFIG | {"seed": 4}]
    others.append(changed("train", threads=1))
    assert len({config_hash(config) for config in (CONFIG, *others)}) == 5


@pytest.fixture
def runs(tmp_path):
    for name in ("a/tiny-s1-00", "a/tiny-s2-00", "b/other-s1-11", "b/other-s1-11.1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text(json.dumps({}))
    return tmp_path


def test_a_run_is_found_by_path_name_or_unique_part(runs):
    assert find_run(str(runs / "a/tiny-s1-00"), runs).name == "tiny-s1-00"
    assert find_run("tiny-s2", runs).name == "tiny-s2-00"
    assert find_run("other-s1-11", runs).name == "other-s1-11"
    assert find_run("a/tiny-s1-00", runs).name == "tiny-s1-00"


def test_an_earlier_run_is_meant_only_by_its_whole_name(runs):
    assert find_run("other", runs).name == "other-s1-11"
    assert find_run("other-s1-11.1", runs).name == "other-s1-11.1"


def test_a_name_that_fits_two_runs_or_none_is_refused(runs):
    with pytest.raises(ValueError, match="'tiny' matches 2 runs: a/tiny-s1-00, a/tiny-s2-00"):
        find_run("tiny", runs)
    with pytest.raises(FileNotFoundError, match=r"no run 'big'.*a/tiny-s1-00"):
        find_run("big", runs)


def test_old_runs_are_kept_under_the_first_free_number(tmp_path):
    for expected in ("run.1", "run.2"):
        (tmp_path / "run").mkdir()
        assert set_aside(tmp_path / "run").name == expected


def test_an_unwritable_place_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        check_writable(tmp_path / "file" / "runs")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        # The superuser may write anywhere; a device node is closed to everybody.
        with pytest.raises(OSError, match=r"is a file|not writable"):
            check_writable(type(tmp_path)("/dev/null/runs"))
    else:
        with pytest.raises(PermissionError, match="paths.runs=DIR"):
            check_writable(closed / "runs")


def test_a_lock_for_a_run_that_was_refused_leaves_nothing(tmp_path):
    directory = tmp_path / "runs/study/run"
    with pytest.raises(ValueError, match="refused"), lock(directory):
        raise ValueError("refused")
    assert list(tmp_path.iterdir()) == []
    with lock(directory):
        directory.mkdir(parents=True)
    assert len(list(tmp_path.rglob("*.lock"))) == 1
