"""Forks as a tree, and where two runs part."""

from dataclasses import replace

import pytest
import yaml

from qa_research.runs.directory import read_config
from qa_research.runs.family import as_tree, parting_step
from qa_research.runs.store import read_entry
from tests.fake_runs import record_of, write_run


@pytest.fixture
def family(tmp_path):
    """A; B, a fork of A at 60; C, one of B at 80; D, one of A at 30; E, of nobody."""

    def make(number, origin=None, step=0):
        config = {}
        if origin:
            name = f"{origin.parent.name}/{origin.name}"
            config["fork"] = {"run": name, "id": read_entry(origin).id, "step": step}
        return write_run(tmp_path, number, config=config, record=record_of(number))

    a = make(1)
    b = make(2, a, 60)
    return {"A": a, "B": b, "C": make(3, b, 80), "D": make(4, a, 30), "E": make(5)}


@pytest.mark.parametrize(
    ("pair", "step"),
    [("AB", 60), ("BC", 80), ("AC", 60), ("BD", 30), ("CD", 30), ("AE", None), ("DE", None)],
)
def test_where_two_runs_part(family, pair, step):
    first, second = (read_entry(family[name]) for name in pair)
    assert parting_step(first, second) == parting_step(second, first) == step


def test_an_origin_that_is_gone_is_still_known_by_its_forks(family):
    import shutil

    shutil.rmtree(family["A"])
    b, c, d = (read_entry(family[name]) for name in "BCD")
    assert parting_step(b, d) == 30
    # B has told C where it comes from itself.
    assert parting_step(c, d) == 30
    shutil.rmtree(family["B"])
    assert parting_step(c, d) is None


def test_forks_stand_below_their_runs(family):
    entries = {name: read_entry(path) for name, path in family.items()}
    order = [(name, entries[name]) for name in "ECBDA"]
    assert as_tree(order) == [("E", 0), ("A", 0), ("B", 1), ("C", 2), ("D", 1)]
    # One whose run is not listed stands where it stood.
    assert as_tree([(name, entries[name]) for name in "CD"]) == [("C", 0), ("D", 0)]


def test_a_config_of_the_ledger_that_names_no_origin_is_no_fork(family):
    entry = read_entry(family["B"])
    for fork in (5, {}, {"run": "a", "step": 3}, None):
        odd = replace(entry, config={**entry.config, "fork": fork})
        assert (
            as_tree([("odd", odd)]) == [("odd", 0)]
            and parting_step(odd, read_entry(family["A"])) is None
        )


@pytest.mark.parametrize("fork", [5, {"run": "a/b", "id": "c"}, {"run": "", "id": "c", "step": 1}])
def test_a_damaged_section_is_one_sentence(family, fork):
    path = family["B"] / "config.yaml"
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(config | {"fork": fork}))
    with pytest.raises(ValueError, match=r"config.yaml .*fork.*; restore it from a copy"):
        read_config(path.parent)
