"""The report of one run: what is on it, and that it is checked against the run's files."""

import json
import re
import shutil

import numpy as np
import pytest
import zarr

from qa_research.launch.compose import default_config
from qa_research.pages.document import Value
from qa_research.pages.markup import plain_text
from qa_research.report.sources import FORMS, TAKERS, Source, duration
from qa_research.report.story import read_document
from qa_research.report.training import training_report
from qa_research.report.verify import first_difference
from tests.fake_runs import running, write_run
from tests.html_pages import ParsedPage

# Digits that are words of the report's own, not values of the run.
WORDS = re.compile(r"F1|95 %|100 %|step 0|1 / \|w₀\||sha256|w₀")


def written(verb, run, *words):
    """The report of a run through the verb."""
    code, out, err = verb("report", str(run), *words)
    assert code == 0, err
    return out


def checked(verb, run):
    """(exit code, differences) of a report's check."""
    code, out, err = verb("report", str(run), "--verify", "--json")
    assert code in (0, 1), err
    return code, json.loads(out)


class Visible(ParsedPage):
    """The text of a page outside values, names and people's texts."""

    def __init__(self, text):
        self.own, self.inside = "", 0
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        self.inside += tag in ("data", "bdi", "code", "h1", "title", "svg", "select")

    def handle_endtag(self, tag):
        self.inside -= tag in ("data", "bdi", "code", "h1", "title", "svg", "select")

    def handle_data(self, data):
        super().handle_data(data)
        if not self.inside and not self.cdata_elem:
            self.own += f"{data} "


@pytest.mark.slow
def test_a_report_has_every_section_and_every_number_has_an_origin(run, verb):
    text = (run / "report.html").read_text()
    page = Visible(text)
    for name in (
        "scores",
        "learning",
        "architecture",
        "watched",
        "weights",
        "efficacy",
        "cost",
        "time",
        "configuration",
    ):
        assert f'id="{name}"' in text, name
    ranks = re.compile(r"\b[1-5]\.\s")
    assert not re.search(r"\d", ranks.sub(" ", WORDS.sub(" ", page.own))), page.own
    names = {path.stem for path in (run / "figures").iterdir()}
    assert {"scores_over_steps", "training_loss", "film_strip", "logit_shares"} <= names
    for name in names:
        assert {path.suffix for path in (run / "figures").glob(f"{name}.*")} == {
            ".svg",
            ".png",
            ".csv",
        }
    assert not re.search(r"https?://(?!www\.w3\.org)", page.own)


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(run, verb):
    before = [(run / name).read_bytes() for name in ("report.html", "report.pdf")]
    out = written(verb, run)
    assert str(run / "report.pdf") in out
    assert before == [(run / name).read_bytes() for name in ("report.html", "report.pdf")]
    code, found = checked(verb, run)
    assert code == 0 and found["faults"] == [] and found["values"] > 100


def in_record(*keys):
    """Change a number of run.json, or the first letter of a text."""

    def change(run):
        path = run / "run.json"
        record = json.loads(path.read_text())
        inner = record
        for key in keys[:-1]:
            inner = inner[key]
        was = inner[keys[-1]]
        inner[keys[-1]] = was + 1 if not isinstance(was, str) else "X" + was[1:]
        path.write_text(json.dumps(record))

    return change


def in_metrics(column, row):
    """Change a number of a row of metrics.csv that has it."""

    def change(run):
        path = run / "metrics.csv"
        lines = [line.split(",") for line in path.read_text().splitlines()]
        place = lines[0].index(column)
        having = [line for line in lines[1:] if line[place]]
        having[row][place] = str(float(having[row][place]) + 1)
        path.write_text("\n".join(",".join(line) for line in lines) + "\n")

    return change


def in_predictions(key):
    """Turn the value of the last prediction that chose nothing."""

    def change(run):
        path = run / "predictions" / "validation.json"
        rows = json.loads(path.read_text())
        row = rows[-1]
        row[key] = 0.5 if row[key] != 0.5 else 1.0
        path.write_text(json.dumps(rows))

    return change


def in_recording(array, add):
    """Change an array's last capture in a recording, as somebody would who opens it with zarr."""

    def change(run):
        found = zarr.open_array(run / "recording.zarr" / array, mode="r+")
        found[-1] = found[-1] + np.asarray(add, found.dtype)

    return change


def more_parameters(run):
    """Let one module have more parameters."""
    path = run / "architecture.json"
    content = json.loads(path.read_text())
    content["modules"][-1]["parameters"]["bias"] = [7]
    path.write_text(json.dumps(content))


def another_edge(run):
    """Let a box of the architecture give to another one."""
    path = run / "architecture.json"
    content = json.loads(path.read_text())
    content["graph"]["edges"][0] = [1, 9]
    path.write_text(json.dumps(content))


CHANGES = {
    "parameters": more_parameters,
    "edge": another_edge,
    "steps": in_record("steps"),
    "best step": in_record("best_step"),
    "train_s": in_record("train_s"),
    "validation_s": in_record("validation_s"),
    "samples": in_record("train_samples"),
    "guessing": in_record("guessing", "match"),
    "cost of captures": in_record("capture", "seconds"),
    "questions": in_record("questions", "train"),
    "fingerprint": in_record("fingerprints", "weights"),
    "cpu": in_record("machine", "cpu"),
    "version": in_record("versions", "torch"),
    "first loss": in_metrics("train/loss", 0),
    "a loss": in_metrics("train/loss", 3),
    "a validation": in_metrics("val/exact_match_match", 0),
    "exact match": in_predictions("exact_match"),
    "f1": in_predictions("f1"),
    "head weight": in_recording("head_weights/change", 1.0),
    "logit": in_recording("logits/logit", 1.0),
    "probability": in_recording("logits/probability", 0.25),
    "share": in_recording("attribution/unit_share", 9.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_one_changed_number_is_found(run, verb, change):
    change(run)
    code, out, err = verb("report", str(run), "--verify", "--json")
    if code == 2:
        # What a checksum protects is refused before it is read.
        assert "recording.zarr" in err
    else:
        assert code == 1 and json.loads(out)["faults"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report.html", "report.pdf"])
def test_a_changed_report_is_found(run, verb, name):
    path = run / name
    if name == "report.html":
        text = path.read_text().replace("</h1>", "</h1><p>Better than ever.</p>", 1)
        path.write_text(re.sub(r'(<data value="3">)[^<]*', r"\g<1>99.9", text, count=1))
    else:
        shutil.copy(run / "figures" / "training_loss.png", path)
    code, found = checked(verb, run)
    told = [fault["printed"] for fault in found["faults"]]
    assert code == 1 and told
    if name == "report.html":
        assert "Better than ever." in told and "99.9" in told


def test_a_run_that_has_nothing_yet_is_told_as_such(tmp_path):
    run = write_run(tmp_path, 1, record=running(1))
    made = training_report(Source(run), default_config())
    told = " ".join(
        piece.text if isinstance(piece, Value) else str(piece) for piece in made.lead[0].text
    )
    assert "killed" in told and "it has no scores yet" in told
    lacks = [
        plain_text(block.text) for block in made.blocks() if getattr(block, "kind", "") == "lack"
    ]
    assert any("capture=default" in lack for lack in lacks)


def test_every_taker_says_what_it_takes_and_every_form_can_say_it_does_not_know():
    assert all(take.__doc__ for _, take in TAKERS.values())
    assert {FORMS[name](None) for name in ("text", "whole", "one", "seconds", "digest", "day")} == {
        "unknown"
    }


def test_an_origin_of_another_version_is_refused(tmp_path):
    source = Source(write_run(tmp_path, 1))
    with pytest.raises(ValueError, match="this version cannot take"):
        source.again({"run": 0, "file": "run.json", "take": "os.system", "form": "text"})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.83, "4.8 s"), (59.4, "59 s"), (60, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_said_as_people_do(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a[1].b"),
        ([1, 2], [1, 2, 3], "the top"),
        ({"a": 1}, {"a": 1}, None),
    ],
)
def test_the_first_difference_of_two_values_is_named(one, other, place):
    found = first_difference(one, other)
    assert found is None if place is None else found[0] == place


@pytest.mark.slow
def test_of_an_imported_run_without_its_recording_the_rest_is_checked(run, verb, tmp_path):
    written(verb, run)
    code, _, err = verb("bundle", str(run), "--out", str(tmp_path / "bundles"))
    assert code == 0, err
    (bundle,) = (tmp_path / "bundles").glob("*.zip")
    code, _, err = verb("runs", "import", str(bundle), "--runs", str(tmp_path / "others"))
    assert code == 0, err
    (imported,) = (tmp_path / "others" / "pair").glob("*-s1-*")
    code, found = checked(verb, imported)
    assert code == 0 and found["faults"] == [] and found["values"] > 50
    (note, *_) = found["notes"]
    assert re.match(r"recording.zarr is not in the bundle .* so \d+ values and \d+ pictures", note)
    in_metrics("train/loss", 3)(imported)
    code, found = checked(verb, imported)
    assert code == 1 and found["faults"]


@pytest.mark.slow
def test_a_recording_that_is_gone_is_one_difference_for_each_run(runs, verb):
    code, _, err = verb("report", "pair", "--runs", str(runs))
    assert code == 0, err
    recordings = list((runs / "pair").glob("*/recording.zarr"))
    for recording in recordings:
        shutil.rmtree(recording)
    code, out, _ = verb("report", "pair", "--runs", str(runs), "--verify", "--json")
    faults = json.loads(out)["faults"]
    assert code == 1 and [fault["found"] for fault in faults] == ["missing"] * len(recordings)


def test_pictures_that_a_report_no_longer_has_are_removed_and_nobodys_else(tmp_path, verb):
    run = write_run(tmp_path, 1, right=[1.0, 0.0], validations=3)
    written(verb, run)
    figures = run / "figures"
    (figures / "mine.png").write_bytes(b"mine")
    assert (figures / "training_loss.svg").is_file()
    kept = {path.name for path in figures.iterdir() if path.stem != "training_loss"}
    (run / "metrics.csv").write_text("epoch,step,train/loss,val/f1\n0,1,,0.5\n")
    written(verb, run)
    assert {path.name for path in figures.iterdir()} == kept


def test_a_picture_whose_data_somebody_changed_stays(tmp_path, verb):
    run = write_run(tmp_path, 1, right=[1.0, 0.0], validations=3)
    written(verb, run)
    (run / "figures" / "training_loss.csv").write_text("step,loss\n1,2\n")
    (run / "metrics.csv").write_text("epoch,step,train/loss,val/f1\n0,1,,0.5\n")
    written(verb, run)
    assert {path.suffix for path in (run / "figures").glob("training_loss.*")} == {
        ".svg",
        ".png",
        ".csv",
    }


def test_a_report_of_another_run_is_refused(tmp_path, verb):
    first, second = (write_run(tmp_path, n, right=[1.0, 0.0], validations=2) for n in (1, 2))
    written(verb, first)
    shutil.copy(first / "report.html", second)
    code, _, err = verb("report", str(second), "--verify")
    assert code == 2 and "is the report of other runs" in err
    (second / "report.html").write_text("<p>nothing</p>")
    code, _, err = verb("report", str(second), "--verify")
    assert code == 2 and "is not a report" in err
    (second / "report.html").unlink()
    code, _, err = verb("report", str(second), "--verify")
    assert code == 2 and "report.html is missing; qa-research report" in err


def test_a_damaged_file_is_one_sentence(tmp_path, verb):
    run = write_run(tmp_path, 1, right=[1.0, 0.0], validations=2)
    (run / "predictions" / "validation.json").write_text("[")
    code, _, err = verb("report", str(run))
    assert code == 2 and "validation.json" in err and not (run / "report.html").exists()


def test_documents_of_one_and_of_two_runs(tmp_path):
    runs = [write_run(tmp_path, n, right=[1.0, 0.0, 1.0], validations=3) for n in (1, 2)]
    one, _ = read_document(runs[:1], default_config())
    two, sources = read_document(runs, default_config())
    assert one.title.startswith("How well does bert_tiny learn")
    assert [source.number for source in sources] == [0, 1] and len(two.values()) > 8


@pytest.mark.slow
def test_what_is_readable_of_a_damaged_recording_is_shown(run, verb):
    part = run / "recording.zarr" / "attribution" / "layer_share" / "c.0.0.0.0"
    part.write_bytes(part.read_bytes()[:-9])
    written(verb, run)
    text = (run / "report.html").read_text()
    assert "The recording is damaged" in text and "layer_share" in text
    assert 'id="weights"' in text and "head_weight_change" in (run / "report.html").read_text()


@pytest.mark.slow
def test_runs_that_differ_in_the_seed_are_one_arm(runs, verb):
    code, out, err = verb("report", "pair", "--runs", str(runs))
    assert code == 0, err
    text = (runs / "pair" / "report.html").read_text()
    assert "Over seeds" in text and (runs / "pair" / "report.pdf").is_file()
    assert (runs / "pair" / "figures" / "scores_over_steps.csv").is_file()
    code, out, err = verb("report", "pair", "--runs", str(runs), "--verify", "--json")
    assert code == 0 and json.loads(out)["pictures"] >= 2
