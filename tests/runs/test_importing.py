"""A bundle may be anybody's: nothing of it is believed before it is checked, and nothing is half imported."""

import hashlib
import json
import random
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from qa_research.ledger.runs import LEDGER
from qa_research.runs import importing
from qa_research.runs.importing import import_bundle
from qa_research.runs.listing import list_runs
from tests.fake_runs import record_of
from tests.runs.bundles import asked_rows, everything, members


def rezipped(bundle: Path, changed: dict[str, bytes | None], declare: bool = True) -> Path:
    """The bundle with files replaced, added or (None) removed; `declare`: bundle.json says so, too."""
    files: dict[str, bytes | None] = {**members(bundle), **changed}
    manifest = json.loads(files["bundle.json"] or b"")
    if declare:
        manifest["files"] = [
            {"path": name, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
            for name, text in files.items()
            if name != "bundle.json" and text is not None
        ]
        files["bundle.json"] = json.dumps(manifest).encode()
    out = bundle.with_name("altered.zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            if text is not None:
                archive.writestr(name, text)
    return out


def check_refused(path: Path, theirs: Path, said: str) -> None:
    with pytest.raises((ValueError, OSError), match=said) as caught:
        import_bundle(path, theirs)
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert everything(theirs) == {} and not theirs.exists()


OUTSIDE = (
    *("../evil.txt", "/evil.txt", "figures/../../evil.txt", "C:/evil.txt", "figures\\..\\..\\evil"),
    *(
        "figures/a:b.csv",
        "figures/NUL.csv",
        "figures/a.",
        "figures//a",
        "figures/./a",
        "figures/\x07a",
    ),
    *("figures/", "~/x", "\\\\host\\x"),
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_file_lies_outside_the_run(name, bundle, tmp_path):
    path = rezipped(bundle, {name: b"evil"})
    check_refused(path, tmp_path / "theirs", "holds the file")
    assert not list(tmp_path.rglob("evil*"))


UNKNOWN = (
    "checkpoints/best.ckpt",
    ".hidden",
    "train.py",
    "tensorboard/events",
    "model",
    "runs.json",
)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_bundle_holds_nothing_else(name, bundle, tmp_path):
    check_refused(rezipped(bundle, {name: b"x"}), tmp_path / "theirs", "which no bundle has")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("figures/a.csv", "figures/A.csv"), "two files of one name"),
        (("figures/\u00e9.csv", "figures/e\u0301.csv"), "two files of one name"),
        (("figures/a", "figures/a/b"), "a file and a folder of one name"),
        (("figures/a", "figures/A/b"), "a file and a folder of one name"),
    ],
)
def test_names_that_are_one_to_some_systems(names, said, bundle, tmp_path):
    path = rezipped(bundle, dict.fromkeys(names, b"x"))
    check_refused(path, tmp_path / "theirs", said)


def test_one_name_twice(bundle, tmp_path):
    path = rezipped(bundle, {})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("metrics.csv", b"other")
    check_refused(path, tmp_path / "theirs", "two files of one name")


def with_info(bundle: Path, **values: int) -> Path:
    """The bundle with one more file, whose entry has other values."""
    path = rezipped(bundle, {})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("figures/a.csv")
        info.external_attr = values.get("mode", 0o100644) << 16
        archive.writestr(info, b"/etc/passwd", values.get("method", zipfile.ZIP_STORED))
    return path


def test_links_and_foreign_compression(bundle, tmp_path):
    check_refused(with_info(bundle, mode=0o120777), tmp_path / "theirs", "holds a link")
    check_refused(with_info(bundle, mode=0o020666), tmp_path / "theirs", "not a file")
    path = with_info(bundle, method=zipfile.ZIP_LZMA)
    check_refused(path, tmp_path / "theirs", "compressed as no bundle")


def test_an_encrypted_bundle(bundle, tmp_path):
    path = tmp_path / "altered.zip"
    content = bytearray(bundle.read_bytes())
    entry = content.index(b"PK\1\2")
    content[entry + 8] |= 1
    path.write_bytes(bytes(content))
    check_refused(path, tmp_path / "theirs", "is encrypted")


def test_a_bomb_is_not_unpacked(bundle, tmp_path):
    path = rezipped(bundle, {"figures/zeros.csv": bytes(70_000_000)})
    check_refused(path, tmp_path / "theirs", "no bundle has so many")
    # One that declares less than it has.
    path = rezipped(bundle, {"figures/zeros.csv": bytes(3_000_000)})
    content = path.read_bytes()
    size, less = (3_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    path.write_bytes(content.replace(size, less))
    check_refused(path, tmp_path / "theirs", "altered")


def test_too_many_files(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "MOST_FILES", 3)
    check_refused(bundle, tmp_path / "theirs", "a bundle has at most 3")


def test_a_full_disk_is_said_before(bundle, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=10))
    check_refused(bundle, tmp_path / "theirs", "has room for 10")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metrics.csv": b"epoch,step\n"}, r"altered: metrics\.csv"),
        ({"metrics.csv": None}, r"altered: it lacks metrics\.csv"),
        ({"figures/a.csv": b"1"}, r"altered: it has in addition figures/a\.csv"),
    ],
)
def test_an_altered_file_is_named(changed, said, bundle, tmp_path):
    check_refused(rezipped(bundle, changed, declare=False), tmp_path / "theirs", said)


def test_the_same_size_and_another_content_is_named(bundle, tmp_path):
    content = members(bundle)["metrics.csv"].replace(b"0.5", b"0.6")
    path = rezipped(bundle, {"metrics.csv": content}, declare=False)
    check_refused(path, tmp_path / "theirs", r"altered: metrics\.csv is not what its checksum says")


RUN_JSON = record_of(1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bundle.json": None}, r"has no bundle\.json"),
        ({"run.json": None}, r"names no run\.json"),
        ({"run.json": b"{"}, "not valid JSON"),
        ({"run.json": json.dumps(RUN_JSON | {"id": "other"}).encode()}, "name another id"),
        ({"run.json": json.dumps(RUN_JSON | {"study": "../x"}).encode()}, "name another study"),
        ({"run.json": json.dumps(RUN_JSON | {"questions": 5}).encode()}, "has questions=5"),
        ({"config.yaml": b"a: &a [*a]"}, "contains itself"),
        ({"config.yaml": b"- 1"}, "does not hold a config"),
        ({"config.yaml": b"\xff\xfe"}, "UTF-8"),
        ({"config.yaml": b"study: !!python/object/apply:os.system [true]"}, "not valid YAML"),
        ({"ledger.json": b"[5]"}, "in row 0"),
        ({"ledger.json": b"{}"}, "should be a valid array"),
        ({"ledger.json": b"[" * 100_000}, "nested"),
        ({"ledger-stacks.json": b"[" * 100_000}, "nested"),
        ({"ledger-stacks.json": b"[]"}, "should be an object"),
        ({"ledger-stacks.json": b"{}"}, "has no run_id"),
        ({"ledger-stacks.json": b'{"run_id": 1e999}'}, "run_id"),
    ],
)
def test_what_is_read_is_checked(changed, said, bundle, tmp_path):
    if changed == {"bundle.json": None}:
        files = members(bundle)
        path = bundle.with_name("altered.zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("run.json", files["run.json"])
    else:
        path = rezipped(bundle, changed)
    check_refused(path, tmp_path / "theirs", said)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format", "zip", "not a bundle of a run"),
        ("version", 2, "written by a newer qa_research .bundle version 2"),
        ("version", "1", "has the version '1'"),
        ("run", {"id": "x"}, "has no run.name"),
        ("hardware", 5, "has hardware=5"),
        ("more", 1, "has more=1"),
    ],
)
def test_the_manifest_has_a_schema(key, value, said, bundle, tmp_path):
    manifest = json.loads(members(bundle)["bundle.json"]) | {key: value}
    text = json.dumps(manifest).encode()
    path = rezipped(bundle, {"bundle.json": text}, declare=False)
    check_refused(path, tmp_path / "theirs", said)


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "a\\b", "", "x\n"])
def test_the_runs_own_name_is_one_plain_name(name, bundle, tmp_path):
    manifest = json.loads(members(bundle)["bundle.json"])
    manifest["run"]["name"] = name
    path = rezipped(bundle, {"bundle.json": json.dumps(manifest).encode()}, declare=False)
    check_refused(path, tmp_path / "theirs", "name")


def test_no_rows_of_another_run_enter_the_ledger(bundle, tmp_path):
    rows = json.loads(members(bundle)["ledger.json"])
    rows[0]["state"]["run_id"] = "another"
    path = rezipped(bundle, {"ledger.json": json.dumps(rows).encode()})
    check_refused(path, tmp_path / "theirs", "another run was asked")
    rows[0]["state"]["run_id"] = record_of(1)["id"]
    rows[0]["asked"][0]["answer"] = None
    path = rezipped(bundle, {"ledger.json": json.dumps(rows).encode()})
    with pytest.raises(ValueError, match="does not fit a ledger"):
        import_bundle(path, tmp_path / "theirs")
    assert list(everything(tmp_path / "theirs" / "nopretrain")) == []


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("run_id",), "another", "has stacks of another run: 'another'"),
        (("frames", 0), ["a.py", -1, "f", ""], "frames.0.1=-1"),
        (("frames", 0), ["a.py", 1, "f"], "frames.0"),
        (("frames", 0, 0), 5, "frames.0.0=5"),
        (("stacks", 1, 0), 99, "names a line or stack that it does not have"),
        (("stacks", 1, 0), -1, "stacks.1.0=-1"),
        (("stacks", 1, 0), 10**30, "more than 64 bits"),
        (("recordings", 0, "samples", "stack", 2), 99, "names a line or stack that it does not have"),
        (("recordings", 0, "samples", "others", 1), [7], "names a line or stack that it does not have"),
        (("recordings", 0, "samples", "at_s"), [0.5], "has samples with values of different numbers"),
        (("recordings", 0, "samples", "at_s", 0), float("nan"), "at_s.0=nan: should be a finite number"),
        (("recordings", 0, "samples", "at_s", 0), None, "at_s.0=None"),
        (("recordings", 0, "samples", "step", 1), -3, "step.1=-3"),
        (("recordings", 0, "samples", "is_cut", 1), 1, "is_cut.1=1"),
        (("recordings", 0, "samples", "phase", 1), {}, "phase.1="),
        (("recordings", 0, "samples", "more"), [], "samples.more"),
        (("recordings", 0, "mean_s"), 0, "mean_s=0"),
        (("recordings", 0, "rank"), -1, "rank=-1"),
        (("recordings", 0, "started"), "yesterday", "has started='yesterday'; expected an ISO"),
        (("recordings", 0, "samples", "phase", 1), "\ud800", "invalid JSON"),
        (("recordings", 0, "to_s"), -1.0, "to_s=-1"),
        (("recordings", 0, "from_s"), 9.0, "has a recording from 9 s to 2.125 s"),
        (("recordings", 0, "command"), "train.py", "command='train.py'"),
        (("recordings", 0, "facts"), [], "facts"),
        (("recordings", 0, "facts", "processors"), "two", "facts.processors='two'"),
        (("recordings", 0, "facts", "threads"), 0, "facts.threads=0"),
        (("recordings", 0, "facts", "parameters"), {"float32": "x"}, "facts.parameters.float32='x'"),
    ],
)  # fmt: skip
def test_malformed_stacks_are_refused(where, value, said, bundle, tmp_path):
    content = json.loads(members(bundle)["ledger-stacks.json"])
    place = content
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    path = rezipped(bundle, {"ledger-stacks.json": json.dumps(content).encode()})
    check_refused(path, tmp_path / "theirs", said)


def test_a_class_that_a_config_names_is_never_imported(bundle, tmp_path):
    config = yaml.safe_load(members(bundle)["config.yaml"])
    config["task"] = {"_target_": "evil_module.Task", "examples": "x", "metrics": []}
    config["model"]["_target_"] = "evil_module.Model"
    path = rezipped(bundle, {"config.yaml": yaml.safe_dump(config).encode()})
    (tmp_path / "evil_module.py").write_text("raise SystemExit('owned')")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        assert import_bundle(path, tmp_path / "theirs").is_new
        assert len(list_runs(tmp_path / "theirs").runs) == 1


def test_what_is_no_bundle(tmp_path):
    for name, content in (("a.zip", b""), ("b.zip", b"PK\3\4 and nothing"), ("c.txt", b"text")):
        (tmp_path / name).write_bytes(content)
        check_refused(tmp_path / name, tmp_path / "theirs", "not a zip file")
    check_refused(tmp_path / "nothing.zip", tmp_path / "theirs", "does not exist")
    check_refused(tmp_path, tmp_path / "theirs", "is a directory")


def what_is_said(path: Path, theirs: Path) -> str:
    try:
        import_bundle(path, theirs)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def test_a_flipped_bit_is_found_or_changes_nothing(bundle, tmp_path):
    whole = bundle.read_bytes()
    import_bundle(bundle, tmp_path / "right")
    right = {k: v for k, v in everything(tmp_path / "right").items() if LEDGER not in k}
    rows = asked_rows(tmp_path / "right" / LEDGER)
    chance = random.Random(1)
    harmless = 0
    for number in range(200):
        content = bytearray(whole)
        content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path, theirs = tmp_path / "flipped.zip", tmp_path / f"theirs {number}"
        path.write_bytes(bytes(content))
        if said := what_is_said(path, theirs):
            assert str(path) in said and "\n" not in said and not theirs.exists()
            continue
        harmless += 1
        assert {k: v for k, v in everything(theirs).items() if LEDGER not in k} == right
        assert asked_rows(theirs / LEDGER) == rows
    # Times and the like, which stand between the contents.
    assert harmless < 60
