"""Every verb that writes, on a disk that is full: one sentence that names the file, and nothing is left."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import CONTEXT, full_disk

ASKED = ("--question", "Who teaches chess?", "--context", CONTEXT)
QUICK = (
    "segmenter=grid",
    "segmenter.rows=2",
    "segmenter.columns=2",
    "trust.random_orders=20",
    "trust.top=2",
    "lime.cache=false",
)
# Nothing fits, or only the first and smaller files do.
ROOM = (600, 4_000, 30_000)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file, and every folder as nothing; not the ledger, which readers open with files beside it."""
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if "ledger" not in p.name}
    return {name: b"" if path.is_dir() else path.read_bytes() for name, path in found.items()}


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of the run, which has been asked once."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


VERBS = {
    "evaluate": ("evaluate", "tiny"),
    "attribute": ("attribute", "tiny", *ASKED, "--method", "erasure"),
    "attribute --watched": ("attribute", "tiny", "--watched", "--method", "erasure"),
    "watch": ("watch", "tiny", "--figures"),
    "export": ("export", "tiny", "OUT"),
    "ledger export": ("ledger", "export", "OUT.csv", "--table", "runs"),
    "ledger export --all": ("ledger", "export", "OUT", "--all"),
    "efficacy plot": ("efficacy", "plot", "--out", "OUT"),
}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_leaves_nothing_and_works_once_there_is_room(verb, runs, tmp_path, name):
    if name == "efficacy plot":
        assert verb("efficacy", "ask", "tiny", "--runs", str(runs), "--questions", "5")[0] == 0
    typed = [str(tmp_path / word) if "OUT" in word else word for word in VERBS[name]]
    before, refused = files_of(tmp_path), []
    for room in ROOM:
        with full_disk(room):
            code, _, err = verb(*typed, "--runs", str(runs))
        if code == 0:
            break
        refused.append(err.strip().splitlines()[-1])
        assert code == 2, err
        assert files_of(tmp_path) == before
    else:
        code, _, err = verb(*typed, "--runs", str(runs))
    assert refused, "nothing of what it writes was too large"
    assert all(line.startswith("qa-research: File too large: ") for line in refused), refused
    assert all(str(tmp_path) in line and ".tmp" not in line for line in refused), refused
    assert code == 0, err
    assert not [name for name in files_of(tmp_path) if ".tmp" in name]


def test_an_explanation_is_whole_or_absent(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for room in ROOM:
        with full_disk(room):
            code, _, err = verb("explain", *QUICK)
        assert code == 2 and "explanations/coffee-" in err and ".tmp" not in err, err
        assert files_of(tmp_path) == {}
    assert verb("explain", *QUICK)[0] == 0
    before = files_of(tmp_path)
    with full_disk(ROOM[-1]):
        assert verb("explain", *QUICK)[0] == 2
    assert files_of(tmp_path) == before


def test_a_catalogue_that_cannot_be_kept_is_read_from_memory(verb, tmp_path):
    for room in ROOM:
        with full_disk(room):
            code, _, err = verb("squad", "3", "--data", "builtin", "--cache", str(tmp_path))
        assert code == 0 and "The catalogue cannot be kept in" in err and ".tmp" not in err, err
        assert files_of(tmp_path) == {}


def test_the_ledger_is_read_on_a_full_disk(verb, runs):
    with full_disk(0):
        code, out, err = verb("runs", "list", "--runs", str(runs))
        assert code == 0 and "tiny/" in out, err
        code, out, _ = verb("ledger", "sql", "SELECT count(*) AS n FROM runs", "--runs", str(runs))
        assert code == 0 and "1" in out


def test_an_export_is_for_everybody(verb, runs, tmp_path):
    assert verb("export", "tiny", str(tmp_path / "new"), "--runs", str(runs))[0] == 0
    plain = tmp_path / "plain"
    plain.write_text("")
    modes = {path.stat().st_mode for path in (tmp_path / "new").iterdir()}
    assert modes == {plain.stat().st_mode}
    from transformers import AutoConfig, AutoTokenizer

    longest = AutoConfig.from_pretrained(tmp_path / "new").max_position_embeddings
    assert AutoTokenizer.from_pretrained(tmp_path / "new").model_max_length == longest


def test_a_place_that_cannot_be_written_is_refused_before_the_work(verb, runs, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for typed in (
        ("evaluate", "tiny", "--out", str(file)),
        ("attribute", "tiny", *ASKED, "--out", str(file)),
        ("attribute", "tiny", "--watched", "--out", str(file)),
        ("watch", "tiny", "--out", str(file)),
        ("export", "tiny", str(file / "deeper")),
        ("efficacy", "plot", "--out", str(file / "plots")),
    ):
        code, out, err = verb(*typed, "--runs", str(runs))
        assert (code, out) == (2, "") and "file" in err, typed
        assert "Answering" not in err
    assert file.read_text() == "mine"
