"""What a run says of the machine that made it."""

import platform
from pathlib import Path

import pytest

from qa_research.runs import machine
from qa_research.runs.machine import changed_versions, cpu_name
from qa_research.runs.versions import git_state, installed_versions, unreleased


def record(**named):
    hardware = {**machine.machine(), **named}
    return {"versions": installed_versions(), "machine": hardware, "git": git_state()}


def test_another_processor_is_said():
    then = record(cpu="Abacus 3000")
    assert f"cpu Abacus 3000 -> {machine.machine()['cpu']}" in changed_versions(then)
    assert "cpu" not in changed_versions(record())


def test_a_run_of_an_earlier_version_that_names_no_processor_has_no_other_one():
    then = record()
    del then["machine"]["cpu"], then["machine"]["instructions"]
    assert changed_versions(then) == ""


def test_a_training_that_sets_its_threads_has_not_changed_with_those_of_a_shell(monkeypatch):
    then = record(threads=1)
    monkeypatch.setattr(machine.torch, "get_num_threads", lambda: 2)
    assert changed_versions(then) == "threads 1 -> 2"
    assert changed_versions(then, threads=1) == ""
    assert changed_versions(record(threads=4), threads=1) == "threads 4 -> 1"


@pytest.mark.skipif(platform.system() != "Linux", reason="reads Linux's /proc")
def test_the_processors_name_is_the_systems():
    text = Path("/proc/cpuinfo").read_text()
    assert (cpu_name() or "model name") in text


def test_a_system_that_does_not_name_its_processor(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Plan 9")
    monkeypatch.setattr(machine, "Path", lambda _: Path("/there/is/no/cpuinfo"))
    assert cpu_name() is None


def test_a_checkout_says_which_version_its_changes_are_on_the_way_to(tmp_path):
    changelog = tmp_path / "CHANGELOG.md"
    assert unreleased(changelog) is None
    changelog.write_text("# Changelog\n\n## 1.4.0 (unreleased)\n\n- New.\n\n## 1.3.0\n")
    assert unreleased(changelog) == "1.4.0"
    changelog.write_text("# Changelog\n\n## 1.4.0\n\n## 1.3.0\n")
    assert unreleased(changelog) is None
