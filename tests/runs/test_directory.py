"""The place of a run, and finding it by a part of its name."""

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest

from qa_research.files import write_text
from qa_research.runs.directory import (
    RESERVE,
    RESERVED_BYTES,
    check_unedited,
    check_writable,
    config_hash,
    create,
    find_run,
    is_held,
    lock,
    run_directory,
    set_aside,
    write_record,
)
from qa_research.runs.versions import git_state_of
from tests.conftest import full_disk

CONFIG = {
    "study": "s",
    "seed": 3,
    "model": {"name": "tiny", "weights": "package:some_package/model", "lr": 0.1},
    "data": {"num_workers": 0, "batch_size": 4},
    "train": {"resume": "auto", "progress": "auto", "threads": None},
    "paths": {"runs": "there", "cache": "c"},
}


PATH = Path("there/run")


def changed(section: str, **changes):
    return CONFIG | {section: CONFIG[section] | changes}


def test_the_directory_follows_from_the_config():
    path = run_directory(CONFIG)
    assert str(path) == f"there/s/tiny-some_package-s3-{config_hash(CONFIG)}"


def test_no_share_of_a_file_is_the_run_of_an_earlier_version():
    assert config_hash(changed("data", validation_share=None)) == config_hash(CONFIG)
    assert config_hash(changed("data", validation_share=0.2)) != config_hash(CONFIG)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"name": "builtin"}, "builtin"),
        ({"name": "squad", "dataset": "rajpurkar/squad"}, "squad"),
        ({"name": "squad", "dataset": "/data/my set"}, "my_set"),
        ({"name": "squad_file", "train_path": "/data/notices-v2.json"}, "notices_v2"),
        ({"name": "squad_file", "train_path": "/data/notices/train.json"}, "notices"),
    ],
)
def test_a_name_carries_the_data(data, name):
    config = CONFIG | {"data": data}
    assert run_directory(config).name == f"tiny-some_package-{name}-s3-{config_hash(config)}"


def test_a_run_of_an_earlier_version_keeps_its_name(tmp_path):
    config = CONFIG | {"data": {"name": "builtin"}, "paths": {"runs": str(tmp_path)}}
    earlier = tmp_path / "s" / f"tiny-some_package-s3-{config_hash(config)}"
    assert run_directory(config) != earlier
    earlier.mkdir(parents=True)
    assert run_directory(config) == earlier


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


@pytest.mark.parametrize("name", ["", " ", ".", "..", ".locks", "grp/one", "a\\b", "../x", "a\nb"])
def test_a_study_and_a_model_are_one_plain_name(name):
    with pytest.raises(ValueError, match=r"study=.* must be one plain name"):
        run_directory(CONFIG | {"study": name})
    with pytest.raises(ValueError, match=r"model.name=.* must be one plain name"):
        run_directory(changed("model", name=name))


def test_a_plain_name_may_have_blanks_and_dots_inside(tmp_path):
    assert run_directory(CONFIG | {"study": "lr 0.1, Übung"}).parent.name == "lr 0.1, Übung"


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_name_fits_no_run_not_even_the_only_one(runs, empty):
    with pytest.raises(ValueError, match="RUN is empty"):
        find_run(empty, runs)


def test_what_removes_wants_the_whole_name(runs):
    assert find_run("a/tiny-s1-00", runs, is_part_enough=False).name == "tiny-s1-00"
    assert find_run("tiny-s1-00", runs, is_part_enough=False).name == "tiny-s1-00"
    with pytest.raises(ValueError, match="only a part of a name.*: a/tiny-s1-00"):
        find_run("tiny-s1", runs, is_part_enough=False)


def test_a_config_that_was_edited_is_refused_by_key():
    check_unedited(PATH, CONFIG, {"config": CONFIG})
    check_unedited(PATH, changed("train", progress="none"), {"config": CONFIG})
    check_unedited(PATH, CONFIG, {})
    with pytest.raises(
        ValueError, match=r"was edited: .* model.lr=0.1, and the file has model.lr=1"
    ):
        check_unedited(PATH, changed("model", lr=1), {"config": CONFIG})
    with pytest.raises(ValueError, match=r"started with no data.x, and the file has data.x=1"):
        check_unedited(PATH, changed("data", x=1), {"config": CONFIG})


def test_a_run_in_a_linked_study_has_one_lock(tmp_path):
    (tmp_path / "disk" / "study").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "disk" / "study")
    with lock(tmp_path / "runs" / "link" / "run"):
        assert is_held(tmp_path / "disk" / "study" / "run")
        with (
            pytest.raises(ValueError, match="another process is training"),
            lock(tmp_path / "disk" / "study" / "run"),
        ):
            pass


def test_a_repository_that_the_code_was_installed_in_is_not_its_own(tmp_path):
    def git(*words):
        name = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(["git", "-C", tmp_path, *name, *words], check=True, capture_output=True)

    installed, own = tmp_path / "env" / "module.py", tmp_path / "own.py"
    installed.parent.mkdir()
    installed.touch()
    own.touch()
    git("init")
    git("add", "own.py")
    git("commit", "-m", "x")
    assert len(git_state_of(own)["commit"]) == 40
    assert git_state_of(installed) == {"commit": None, "modified": None}


def test_on_a_full_disk_how_a_run_ended_is_written_in_the_room_kept_for_it(tmp_path, monkeypatch):
    run = tmp_path / "s" / "run"
    create(run, CONFIG)
    write_record(run, {"status": "running"})
    assert (run / RESERVE).stat().st_size == RESERVED_BYTES

    def without_room(path, text, durable=False):
        if (run / RESERVE).exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_text(path, text, durable)

    monkeypatch.setattr("qa_research.runs.directory.write_text", without_room)
    write_record(run, {"status": "failed"})
    assert json.loads((run / "run.json").read_text()) == {"status": "failed"}
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "run.json"]


def test_the_room_is_kept_only_while_a_run_is_trained(tmp_path):
    for status in ("running", "finished", "running", "interrupted"):
        write_record(tmp_path, {"status": status})
        assert (tmp_path / RESERVE).exists() == (status == "running")


def test_on_a_full_disk_no_run_is_created(tmp_path):
    with full_disk(10), pytest.raises(OSError, match=r"run/config\.yaml'$"):
        create(tmp_path / "s" / "run", CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_kept_whole_are_the_run_of_an_earlier_version():
    config = {"study": "s", "seed": 3, "model": {"name": "tiny", "weights": "package:some/path"}}
    named = {**config, "model": {**config["model"], "reinit_top": None}}
    assert config_hash(named) == config_hash(config)
    top = {**config, "model": {**config["model"], "reinit_top": 2}}
    assert config_hash(top) != config_hash(config)


def test_a_run_whose_top_layers_are_drawn_anew_says_so_in_its_name(tmp_path):
    model = {"name": "tiny", "weights": "package:some/path", "reinit_top": "all"}
    config = {"study": "s", "seed": 3, "model": model, "paths": {"runs": str(tmp_path)}}
    assert run_directory(config).name.startswith("tiny-some_reinit_all-s3-")
