"""The views of stacks that were imported from the old lab."""

import re

import pytest

from qa_research.ledger.old_lab.importing import import_old_lab
from qa_research.ledger.runs import LEDGER
from qa_research.stacks.choosing import Chosen, choose
from qa_research.stacks.comparing import compare_stacks
from qa_research.stacks.flame import flame_page
from qa_research.stacks.searching import search_stacks
from qa_research.stacks.show import about, show_found, show_tree
from qa_research.stacks.telling import lines_of
from qa_research.stacks.tree import call_tree
from tests.ledger.old_lab.databases import write_stacks

CAVEAT = "an interrupt waits until C++ returns, so they could hardly see backward: it is in 2 of 40"


@pytest.fixture
def imported(tmp_path) -> Chosen:
    import_old_lab(write_stacks(tmp_path / "stack_trace.db"), tmp_path / "runs" / LEDGER)
    return choose("1", tmp_path / "runs")


@pytest.mark.parametrize("text", ["backward", "nowhere"])
def test_every_view_says_what_imported_samples_could_not_see(imported, text, capsys):
    show_found(search_stacks(imported.samples, text), imported)
    assert capsys.readouterr().out.replace("\n", " ").count(CAVEAT) == 1
    tree = call_tree(imported.samples, "train", True)
    show_tree(tree, imported, None, 0.01, True)
    assert capsys.readouterr().out.replace("\n", " ").count(CAVEAT) == 1
    notes = compare_stacks(imported, imported, 0.01).notes
    assert len([note for note in notes if CAVEAT in note]) == 1
    assert CAVEAT in about(imported)["caveats"][0]
    assert flame_page(imported).count(CAVEAT) == 1


def test_without_times_there_are_no_seconds(imported):
    lines = lines_of(imported.recordings)
    assert "55 samples, whose times were not kept" in lines
    assert any(CAVEAT in line for line in lines)
    assert any(
        re.fullmatch(r"compute_loss +31 +56\.4 +\[42\.3, 69\.7\] +-", line) for line in lines
    )


def test_they_are_listed_as_imported(imported, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"numbers: 1 \(stack_trace\.db, imported\)"):
        choose("nothing", tmp_path / "runs")
