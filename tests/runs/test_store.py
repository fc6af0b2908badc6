"""All runs on disk: scanned, listed, sorted, removed."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from qa_research.ledger.runs import Ledger
from qa_research.runs.directory import lock
from qa_research.runs.listing import list_runs, sorted_runs
from qa_research.runs.store import (
    checkpoints_of,
    find,
    live_status,
    read_entry,
    remove,
    scan,
    size_by_part,
)
from tests.fake_runs import names_in_list, record_of, running, without_rights, write_run


@pytest.fixture
def runs(tmp_path) -> Path:
    """Three runs: two of one study, the third was killed hard."""
    folder = tmp_path / "runs"
    write_run(folder, 1)
    write_run(folder, 2, record=record_of(2, study="other"))
    write_run(folder, 3, record=running(3))
    return folder


def test_listing_makes_the_ledger_where_there_is_none(runs):
    found = list_runs(runs)
    assert [run.entry.seed for run in found.runs] == [3, 2, 1] and not found.notes
    with Ledger(runs / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.runs() == [run.entry for run in found.runs]


def test_an_empty_folder_stays_empty(tmp_path):
    assert list_runs(tmp_path).runs == [] and not any(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match="--runs DIR names another folder"):
        list_runs(tmp_path / "none")


def test_a_run_killed_hard_shows_as_such(runs):
    killed = list_runs(runs).runs[0]
    assert (killed.entry.status, killed.status) == ("running", "killed")
    with lock(killed.entry.directory):
        assert live_status(killed.entry) == "running"
        assert list_runs(runs).runs[0].status == "running"
    assert live_status(killed.entry) == "killed"


def test_run_json_is_believed_where_the_ledger_is_behind(runs):
    list_runs(runs)
    directory = write_run(runs.parent / "new", 3)
    shutil.copy(directory / "run.json", list_runs(runs).runs[0].entry.directory)
    found = list_runs(runs).runs[0]
    assert found.status == "finished" and found.entry.scores["val/exact_match"] == 63


def test_a_run_whose_directory_vanished_is_gone_until_a_scan(runs):
    list_runs(runs)
    shutil.rmtree(runs / "other")
    (gone,) = [run for run in list_runs(runs).runs if run.status == "gone"]
    assert gone.entry.study == "other" and gone.size_bytes == 0
    with pytest.raises(FileNotFoundError, match="in the ledger, but its directory is gone"):
        find("other/", runs)
    assert scan(runs).gone == [gone.entry.name]
    assert "gone" not in [run.status for run in list_runs(runs).runs]


def test_runs_that_the_ledger_does_not_know_are_mentioned(runs):
    list_runs(runs)
    new = write_run(runs, 4)
    (note,) = list_runs(runs).notes
    assert note.startswith(
        f"not in the ledger: nopretrain/{new.name}; `qa-research runs scan --runs {runs}`"
    )
    assert scan(runs).found == 4
    assert not list_runs(runs).notes


def test_a_scan_makes_an_identical_ledger(runs):
    scan(runs)
    with Ledger(runs / "ledger.sqlite") as ledger:
        before = ledger.runs()
    for file in runs.glob("ledger.sqlite*"):
        file.unlink()
    scan(runs)
    with Ledger(runs / "ledger.sqlite") as ledger:
        assert ledger.runs() == before
        for entry in before:
            record = json.loads((entry.directory / "run.json").read_text())
            ledger.write_run(entry.directory, record, entry.config)
        assert ledger.runs() == before


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("run.json", "{", "run.json is not valid JSON"),
        ("run.json", "[]", "run.json does not hold keys with values"),
        ("run.json", "null", "run.json does not hold keys with values"),
        ("run.json", "[" * 100_000, "nested too deeply to be read"),
        ("run.json", "{}", "has no id"),
        ("config.yaml", None, "config.yaml is missing"),
        ("config.yaml", "a: [", "config.yaml is not valid YAML"),
        ("config.yaml", "text", "does not hold a config"),
        ("config.yaml", "", "does not hold a config"),
        ("config.yaml", "[1, 2]", "does not hold a config"),
        ("config.yaml", "study: a", "config.yaml has no seed"),
        ("config.yaml", "{study: a, seed: 1, data: [], model: {}}", "config.yaml has data=[]"),
        (
            "config.yaml",
            "{study: a, seed: 1, data: {}, model: {}}",
            "config.yaml has no model.name",
        ),
        ("config.yaml", "{task: {_target_: []}, seed: 1}", "config.yaml has no study"),
    ],
)
def test_a_damaged_run_is_named_and_the_others_are_read(runs, file, content, reason):
    scan(runs)
    directory = next(runs.glob("other/*"))
    if content is None:
        (directory / file).unlink()
    else:
        (directory / file).write_text(content)
    found = scan(runs)
    assert (found.found, found.gone) == (2, [])
    (damaged,) = found.damaged
    assert damaged.startswith(f"other/{directory.name}: ") and reason in damaged


def test_a_damaged_run_shows_as_such_and_can_be_removed(runs):
    list_runs(runs)
    directory = list_runs(runs).runs[0].entry.directory
    (directory / "run.json").write_text("{")
    assert list_runs(runs).runs[0].status == "damaged"
    remove(directory)
    assert len(list_runs(runs).runs) == 2


def test_a_copied_run_is_not_counted_as_another(runs):
    original = next(runs.glob("other/*"))
    shutil.copytree(original, original.with_name("zz-copy"))
    found = scan(runs)
    assert found.found == 3
    assert found.damaged[0].startswith(f"other/zz-copy is a copy of other/{original.name}")


def test_removing_leaves_neither_directory_nor_entry(runs):
    scan(runs)
    directory = next(runs.glob("other/*"))
    left_by_a_kill = directory.parent / ".removed" / "run-0"
    left_by_a_kill.mkdir(parents=True)
    remove(directory)
    assert not any(directory.parent.iterdir())
    assert len(list_runs(runs).runs) == 2


def test_half_removed_runs_are_not_listed(runs):
    directory = next(runs.glob("other/*"))
    trash = directory.parent / ".removed"
    trash.mkdir()
    directory.rename(trash / directory.name)
    assert len(list_runs(runs).runs) == 2
    with pytest.raises(FileNotFoundError):
        find("other", runs)


def test_a_run_in_training_is_not_removed(runs):
    directory = next(runs.glob("other/*"))
    with lock(directory), pytest.raises(ValueError, match="another process is training"):
        remove(directory)
    assert (directory / "run.json").is_file()


def test_a_link_is_not_removed(runs):
    link = runs / "other" / "link"
    link.symlink_to(next(runs.glob("other/*")))
    with pytest.raises(ValueError, match="is a symbolic link to"):
        remove(link)


def test_nothing_is_removed_under_a_foreign_ledger(runs):
    (runs / "ledger.sqlite").write_text("notes " * 100)
    directory = next(runs.glob("other/*"))
    with pytest.raises(ValueError, match="not an SQLite database"):
        remove(directory)
    assert (directory / "run.json").is_file()


def test_sizes_and_checkpoints_of_a_run(runs):
    directory = next(runs.glob("other/*"))
    (directory / "checkpoints" / ".last.ckpt.tmp").touch()
    (directory / "checkpoints" / "step-000007.ckpt").touch()
    (directory / "link").symlink_to("/")
    sizes = size_by_part(directory)
    assert next(iter(sizes.items())) == ("checkpoints", 15000) and sizes["link"] == 0
    assert checkpoints_of(directory) == ["best", "last", "7", "50"]
    assert list_runs(runs).runs[1].size_bytes == sum(sizes.values())


@pytest.mark.parametrize(
    ("key", "seeds"),
    [
        ("started", [3, 2, 1]),
        ("run", [1, 3, 2]),
        ("status", [2, 1, 3]),
        ("steps", [2, 1, 3]),
        ("val/exact_match", [2, 1, 3]),
        ("val/loss", [2, 1, 3]),
    ],
)
def test_runs_are_sorted_best_first_and_unknown_last(runs, key, seeds):
    assert [run.entry.seed for run in sorted_runs(list_runs(runs).runs, key)] == seeds


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("f1", "did you mean val/f1?"),
        ("val/exact", "did you mean val/exact_match?"),
        ("qqq", "known: run, size, started, status, steps, val/exact_match, val/f1, val/loss"),
    ],
)
def test_an_unknown_key_is_refused_with_the_closest_match(runs, key, hint):
    with pytest.raises(ValueError) as refused:
        sorted_runs(list_runs(runs).runs, key)
    assert hint in str(refused.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_read_only_folder_is_listed():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "runs"
        Path(place).chmod(0o755)
        write_run(folder, 1)
        killed = write_run(folder, 2, record=running(2))
        with lock(killed):
            pass
        folder.chmod(0o555)
        (folder / ".locks").chmod(0o555)
        listed, notes = without_rights(names_in_list, folder)
        assert [text.split()[1] for text in listed] == ["finished", "running?"]
        assert "is read-only, so this list was read from each run.json" in notes[0]
        folder.chmod(0o755)
        scan(folder)
        folder.chmod(0o555)
        assert without_rights(names_in_list, folder) == (listed[::-1], [])
        folder.chmod(0o755)


def test_a_run_is_read_from_its_own_directory(runs, monkeypatch):
    directory = next(runs.glob("other/*"))
    entry = read_entry(directory)
    monkeypatch.chdir(directory)
    assert read_entry(Path()) == entry
