"""A run given away as one file and read back: nothing lost, nothing told, nothing believed."""

import hashlib
import json
import re
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from qa_research.ledger.runs import LEDGER
from qa_research.runs.anonymous import Anonymous
from qa_research.runs.bundle import write_bundle
from qa_research.runs.compare import side_by_side
from qa_research.runs.importing import import_bundle
from qa_research.runs.listing import list_runs
from qa_research.runs.manifest import LeftOut
from qa_research.runs.store import read_entry
from tests.runs.bundles import a_run, ask, asked_rows, everything, members, recordings, sample

USER = "mallory"
SECRET = "correct-horse-battery"


def test_an_imported_run_is_the_run(original, bundle, tmp_path):
    other = a_run(tmp_path / "lab" / "runs", 2)
    found = import_bundle(bundle, tmp_path / "theirs")
    assert found.is_new and found.directory.name == original.name
    theirs, ours = read_entry(found.directory), read_entry(original)
    for name in ("id", "scores", "steps", "fingerprints", "versions", "started", "command"):
        assert getattr(theirs, name) == getattr(ours, name), name
    kept = "answers.zarr/validation/zarr.json"
    for name in ("metrics.csv", "predictions/validation.json", "train.log", kept):
        assert (found.directory / name).read_bytes() == (original / name).read_bytes()
    here, there = (side_by_side([one, other]) for one in (original, found.directory))
    assert (here.pairs, here.config, here.scores) == (there.pairs, there.config, there.scores)
    (listed,) = list_runs(tmp_path / "theirs").runs
    assert listed.entry.name == f"nopretrain/{original.name}" and listed.status == "finished"
    assert asked_rows(tmp_path / "theirs" / LEDGER) == [
        (f"nopretrain/{original.name}", *row[1:])
        for row in asked_rows(original.parents[1] / LEDGER)
    ]
    assert (found.asked, found.sampled) == (1, 2)


def test_sampled_stacks_are_carried_without_the_places_they_were_sampled_at(
    original, bundle, tmp_path
):
    import_bundle(bundle, tmp_path / "theirs")
    ours = {recording.rank: recording for recording in recordings(original.parents[1] / LEDGER)}
    # In an order that does not depend on the ledger.
    zero, one = recordings(tmp_path / "theirs" / LEDGER)
    assert (zero.rank, one.rank) == (0, 1)
    for theirs in (zero, one):
        expected = ours[theirs.rank]
        assert theirs.run == f"nopretrain/{original.name}"
        same = ("run_id", "started", "mean_s", "seed", "from_s", "to_s", "ending")
        assert [getattr(theirs, n) for n in same] == [getattr(expected, n) for n in same]
        for got, sampled in zip(theirs.samples, expected.samples, strict=True):
            values = ("at_s", "phase", "step", "is_cut", "memory_mb", "cpu_s", "others")
            assert [getattr(got, n) for n in values] == [getattr(sampled, n) for n in values]
            assert got.stack[1:] == sampled.stack[1:]
        own = theirs.samples[1].stack[0]
        assert (own.file, own.line, own.function) == ("USER/train.py", 3, "<module>")
        assert re.fullmatch(r'main\("elsewhere-\d/squad\.json"\)', own.text)
        assert theirs.command[0].startswith("elsewhere-") and theirs.command[1] == "seed=1"
        assert (theirs.facts["processors"], theirs.facts["threads"]) == (2, 1)
    assert b"ada" not in members(bundle)["ledger-stacks.json"]


def test_the_same_run_gives_the_same_bytes(original, bundle, tmp_path):
    again = write_bundle(original, tmp_path / "again.zip", original.parents[1] / LEDGER)
    assert again.path.read_bytes() == bundle.read_bytes()
    assert again.sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()
    copied = tmp_path / "elsewhere" / "runs" / "nopretrain" / original.name
    shutil.copytree(original, copied)
    shutil.copy(original.parents[1] / LEDGER, copied.parents[1])
    write_bundle(copied, tmp_path / "moved.zip", copied.parents[1] / LEDGER)
    assert (tmp_path / "moved.zip").read_bytes() == bundle.read_bytes()


def test_what_is_there_already_is_said_and_stays(original, bundle, tmp_path):
    theirs = tmp_path / "theirs"
    first = import_bundle(bundle, theirs)
    before = everything(first.directory)
    rows = asked_rows(theirs / LEDGER)
    for study in (None, "another"):
        again = import_bundle(bundle, theirs, study)
        assert not again.is_new and again.directory == first.directory
        assert (again.asked, again.sampled) == (0, 0)
    assert everything(theirs / "another") == {} and everything(first.directory) == before
    assert asked_rows(theirs / LEDGER) == rows
    # The run itself, whose paths the bundle does not have, and a row that the ledger lost.
    (original.parents[1] / LEDGER).unlink()
    again = import_bundle(bundle, original.parents[1])
    assert not again.is_new and (again.asked, again.sampled) == (1, 2)
    (first.directory / "metrics.csv").write_text("epoch,step,train/loss\n0,0,0.5\n")
    with pytest.raises(FileExistsError, match=r"at another time: metrics\.csv differ"):
        import_bundle(bundle, theirs)


def test_another_run_in_its_place_stays(bundle, original, tmp_path):
    place = tmp_path / "theirs" / "nopretrain" / original.name
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is another run .* --study NAME"):
        import_bundle(bundle, tmp_path / "theirs")
    assert everything(place) == {"notes.txt": b"mine"}
    found = import_bundle(bundle, tmp_path / "theirs", "second")
    assert found.directory == tmp_path / "theirs" / "second" / original.name
    assert read_entry(found.directory).study == "second"


def test_a_ledger_that_refuses_leaves_nothing(bundle, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / LEDGER).write_text("not a ledger, but long enough to be something")
    with pytest.raises(ValueError, match="not an SQLite database"):
        import_bundle(bundle, tmp_path / "theirs")
    assert not list((tmp_path / "theirs").glob("*/"))


def test_weights_are_missed_in_one_sentence(bundle, tmp_path, verb):
    directory = import_bundle(bundle, tmp_path / "theirs").directory
    for words in (["evaluate"], ["ask", "--question", "Who?", "--context", "Ms Lund."]):
        code, out, err = verb(words[0], str(directory), *words[1:], "--threads", "1")
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("qa-research: nopretrain/") and (
            "was imported from a bundle, which holds no weights" in err
        )
    code, out, err = verb("runs", "show", str(directory))
    assert code == 0 and "which holds no weights" in out, err


# --- what a bundle must not say ---


@pytest.fixture
def secretive(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A run whose files say where it was made, by whom and on what machine; and the user's folder."""
    home = tmp_path / "home" / USER
    lab = home / "my lab"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", USER)
    monkeypatch.setenv("LOGNAME", USER)
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    data, weights = home / "data" / "squad.json", tmp_path / "mnt" / USER / "weights"
    weights.mkdir(parents=True)
    command = ["qa-research", "train", f"data.train_path={lab}/a.json", f"model.weights={weights}"]
    command += [
        f"paths.runs={lab}/runs",
        f"data.validation_path=~/data/{data.name}",
        f"x.key={SECRET}",
    ]
    error = (
        f'cannot read {data}: File "{home}/.venv/lib/python3.11/site-packages/torch/nn.py", line 3'
    )
    directory = a_run(lab / "runs", command=command, error=error, status="failed", host=None)
    config = yaml.safe_load((directory / "config.yaml").read_text())
    config["paths"] = {"runs": f"{lab}/runs", "cache": str(home / "cache")}
    config["data"] |= {"train_path": f"{lab}/a.json", "validation_path": str(data)}
    config["model"]["weights"] = str(weights)
    config["logger"] = {"_target_": "x.Y", "tracking_uri": f"https://{USER}:pw@ml.corp.example/x"}
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    record = json.loads((directory / "run.json").read_text()) | {"config": config}
    (directory / "run.json").write_text(json.dumps(record))
    lines = [
        f"Run: {directory}",
        f"Loaded {weights}/model.safetensors; {data}: 3 rows",
        f"{USER}@gpu7.corp.example:/scratch/{USER}/x, http://{socket.gethostname()}:6006",
        f"'C:\\\\Users\\\\{USER}\\\\a.txt' \\\\\\\\server\\\\{USER}\\\\b file://{home}/c.txt /home/{USER}",
        "val/f1 12 samples/s and/or https://huggingface.co/x/y +/- 3",
    ]
    (directory / "train.log").write_text("\n".join(lines))
    (directory / "model" / "config.json").write_text(json.dumps({"_name_or_path": str(weights)}))
    in_json = f"a\n{lab}/runs"
    page = f"<p>{weights}/x &quot;{data}&quot;</p><script>{json.dumps(in_json)}</script>"
    (directory / "report.html").write_text(page)
    (directory / "figures").mkdir()
    (directory / "figures" / "loss.svg").write_text(f"<text>{data}</text>")
    (directory / f"of-{USER}.txt").write_text("a note of one's own")
    (directory / "figures" / "link.csv").symlink_to(data)
    return directory, home


def test_nothing_of_the_machine_is_told(secretive, tmp_path):
    directory, home = secretive
    ledger = directory.parents[1] / LEDGER
    ask(directory, ledger, f"no memory for {home}/data/squad.json")
    sample(directory, ledger, str(home))
    found = write_bundle(directory, tmp_path / "given.zip", ledger)
    hidden = (USER, str(tmp_path), SECRET, "corp.example", "Users\\", socket.gethostname(), "pw@")
    for name, content in members(found.path).items():
        for one in hidden:
            assert one not in name and one.encode() not in content, (name, one, content[:2000])
    assert USER.encode() not in found.path.read_bytes()
    log = members(found.path)["train.log"].decode()
    assert "Run: runs/nopretrain/" in log and "elsewhere-" in log
    assert "val/f1 12 samples/s and/or https://huggingface.co/x/y +/- 3" in log
    assert LeftOut("figures/link.csv", 0, "it is a link to another place") in (
        found.manifest.left_out
    )


def test_what_is_replaced_is_replaced_alike_and_the_run_stays_the_same(secretive, tmp_path):
    directory, _ = secretive
    write_bundle(directory, tmp_path / "given.zip", tmp_path / "none")
    found = import_bundle(tmp_path / "given.zip", tmp_path / "theirs")
    entry = read_entry(found.directory)
    assert entry.id == read_entry(directory).id and found.directory.name == directory.name
    data, paths = entry.config["data"], entry.config["paths"]
    assert (data["train_path"], paths["runs"]) == ("a.json", "runs")
    assert data["validation_path"].endswith("/squad.json")
    assert f"data.validation_path={data['validation_path']}" in entry.command
    assert f"model.weights={entry.config['model']['weights']}" in entry.command
    assert entry.config["model"]["weights"].startswith("elsewhere-")
    record = json.loads((found.directory / "run.json").read_text())
    assert record["config"] == yaml.safe_load((found.directory / "config.yaml").read_text())
    # Replaced once is replaced: an imported run that is given away again says the same.
    write_bundle(found.directory, tmp_path / "again.zip", tmp_path / "none")
    first, second = members(tmp_path / "given.zip"), members(tmp_path / "again.zip")
    del first["bundle.json"], second["bundle.json"]
    assert first == second


def test_a_pdf_that_names_a_folder_is_left_out(secretive, tmp_path):
    from matplotlib.figure import Figure

    directory, home = secretive
    for name, text in (("told", f"{home}/data/squad.json"), ("plain", "F1 over steps")):
        figure = Figure()
        figure.text(0.1, 0.5, text)
        figure.savefig(directory / "figures" / f"{name}.pdf")
    found = write_bundle(directory, tmp_path / "given.zip", tmp_path / "none")
    assert "figures/plain.pdf" in members(found.path)
    assert "figures/told.pdf" not in members(found.path)
    assert "figures/told.pdf" in {part.what for part in found.manifest.left_out}


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("/lab/me/runs/a", "runs/a"),
        ("key=/lab/me/my data/a.json", "key=my data/a.json"),
        ("/lab/men/a.json", "elsewhere-1/a.json"),
        ("see /lab/me/a.json, then /x/y/b.txt.", "see a.json, then elsewhere-1/b.txt."),
        ("/mnt/lab/me/a", "elsewhere-1/a"),
        ("val/loss 3/4 a//b /", "val/loss 3/4 a//b /"),
        ("sqlite:////var/db/x.db", "elsewhere-1/x.db"),
        ("http://box7:5000/x http://localhost:1", "http://HOST:5000/x http://localhost:1"),
        ("~/a.json ~bob/x.txt", "elsewhere-1/a.json elsewhere-2/x.txt"),
        ("/home/bob /Users/bob/x", "HOME elsewhere-1/x"),
        ("relative/a.json bert-base", "relative/a.json bert-base"),
        ("package:gt_all/model", "package:gt_all/model"),
    ],
)
def test_paths_are_replaced(text, replaced):
    hidden = Anonymous(Path("/lab/me/runs/a/b"), {"paths": {"runs": "/lab/me/runs"}}, "")
    assert hidden.value([text]) == [replaced]


def test_a_project_that_holds_homes_is_no_place_to_be_relative_to():
    hidden = Anonymous(Path("/runs/a/b"), {"paths": {"runs": "/runs"}}, "")
    assert hidden.value(["/runs/x", "/home/bob/x.json"]) == ["runs/x", "elsewhere-1/x.json"]


def test_a_run_that_is_trained_or_a_file_of_ones_own_is_refused(original, tmp_path, monkeypatch):
    out = tmp_path / "mine.zip"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="not a bundle of this run"):
        write_bundle(original, out, tmp_path / "none")
    assert out.read_text() == "mine"
    monkeypatch.setattr("qa_research.runs.bundle.live_status", lambda entry: "running")
    with pytest.raises(ValueError, match="is being trained"):
        write_bundle(original, tmp_path / "new.zip", tmp_path / "none")
    assert not (tmp_path / "new.zip").exists()
