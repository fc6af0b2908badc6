"""Files of a run that were damaged or edited: one sentence that names the file, from every verb."""

import json
import shutil

import pytest
import yaml

from qa_research.runs.open import open_run
from tests.test_plain import BOMB
from tests.verbs import VERBS

ASKED = ("--question", "Who?", "--context", "Ms Lund teaches.")
# Every verb that reads the config of the run that it is given.
OF_A_RUN = {
    "resume": ("RUN",),
    "replay": ("RUN",),
    "fork": ("RUN", "--at", "1"),
    "what-if": ("RUN", "--at", "1", "--to", "2", "--silence", "heads.0.0"),
    "runs show": ("RUN",),
    "runs compare": ("RUN", "RUN"),
    "evaluate": ("RUN", "--threads", "1"),
    "predict": ("RUN", "--threads", "1"),
    "ask": ("RUN", *ASKED, "--threads", "1"),
    "forward": ("RUN", *ASKED, "--threads", "1"),
    "probe": ("RUN", "--threads", "1"),
    "weights": ("RUN", "--threads", "1"),
    "data-map": ("RUN", "--threads", "1"),
    "influence": ("RUN", "--threads", "1"),
    "graft": ("RUN", "--from", "last", "--into", "best", "--threads", "1"),
    "patch": ("RUN", "--threads", "1"),
    "attribute": ("RUN", *ASKED, "--threads", "1"),
    "efficacy ask": ("RUN", "--threads", "1"),
    "squad show": ("0", "--run", "RUN"),
    "squad stats": ("--run", "RUN", "--threads", "1"),
    "export": ("RUN", "OUT"),
    "bundle": ("RUN", "--out", "OUT"),
}
OTHERS = {
    *("train", "sanity", "explain", "score", "doctor", "runs list", "runs scan", "efficacy table"),
    *("efficacy plot", "squad search", "squad browse", "squad repeats", "ledger sql"),
    # It reads two data sets.
    "squad shift",
    # These work whatever the config says.
    *("ledger export", "ledger import", "watch", "runs remove", "runs import"),
    *(f"stacks {verb}" for verb in ("show", "list", "flame", "tree", "search", "speedscope")),
    "stacks compare",
    # It reads two runs as runs compare does.
    "report",
    # They read the ledger alone, or sample a program.
    *("stacks", "stacks show", "stacks list", "stacks flame", "stacks tree", "stacks search"),
    *("stacks compare", "stacks speedscope"),
}
CONFIGS = {
    "deep": "study: " + "[" * 10_000 + "]" * 10_000,
    "deeper": "study: " + "{a: " * 100_000,
    "bomb": BOMB,
    "tag": "study: !!python/object/apply:os.mkdir [owned]",
    "digits": "seed: " + "9" * 6000,
    "hexadecimal": "seed: 0x" + "f" * 6000,
    "date": "study: {a: 2026-11-26}",
    "data": "data: 5",
    "model": "model: [1]",
}


def test_every_verb_that_takes_a_run_is_here():
    assert VERBS.keys() == OF_A_RUN.keys() | OTHERS


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_config_that_is_none_is_one_sentence(name, run, verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = run / "config.yaml"
    whole = path.read_text()
    for text in CONFIGS.values():
        # Appended: the rest is a config, and of two equal keys the second counts.
        path.write_text(f"{whole}\n{text}\n")
        words = [{"RUN": str(run), "OUT": str(tmp_path / "out")}.get(w, w) for w in OF_A_RUN[name]]
        code, out, err = verb(*name.split(), *words)
        assert (code, out) == (2, ""), err
        assert err.startswith(f"qa-research: {path} ") and err.count("\n") == 1 and len(err) < 700
    assert not (tmp_path / "out").exists() and not (tmp_path / "owned").exists()


VALUES = (None, -1, 10**30, "x", [], {}, float("nan"), True, 3_000_000_000, [[[[[1]]]]])


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_model_is_one_sentence_or_answers(run, file):
    path = run / "model" / file
    whole = json.loads(path.read_text())
    refused = 0
    texts = ["", "null", "[]", "5", '"x"', "{", "[" * 100_000]
    texts += [json.dumps({**whole, key: value}) for key in whole for value in VALUES]
    texts += [json.dumps({k: v for k, v in whole.items() if k != key}) for key in whole]
    for text in texts:
        path.write_text(text)
        try:
            open_run(run).ask("Who teaches?", "Ms Lund teaches chess.")
        except ValueError as error:
            refused += 1
            said = str(error)
            assert str(path.parent) in said and len(said) < 700, text[:300]
            assert "\n" not in said
    assert refused > len(texts) // 4


def test_facts_of_the_data_are_checked_where_they_are_read(run, verb):
    path = run / "run.json"
    whole = json.loads(path.read_text())
    keys = ("too_long", "guessing", "best_while_training", "capture", "best", "baselines", "test")
    for key in (*keys, "loss_unit"):
        path.write_text(json.dumps(whole | {key: 5}))
        for words in (("predict", str(run), "--threads", "1"), ("resume", str(run))):
            code, _, err = verb(*words)
            assert code == 2 and f"run.json has {key}=5: " in err, err
    path.write_text(json.dumps(whole | {"best": {}}))
    code, _, err = verb("resume", str(run))
    assert code == 2 and f"{path} has no val/exact_match" in err


def test_an_error_is_shown_without_the_systems_number(run, verb, tmp_path):
    record = json.loads((run / "run.json").read_text())
    error = "[Errno 28] No space left on device: 'runs/a/metrics.csv'"
    (run / "run.json").write_text(json.dumps(record | {"status": "failed", "error": error}))
    code, out, err = verb("runs", "show", str(run))
    assert code == 0 and "error         No space left on device: 'runs/a/metrics.csv'" in out, err
    code, out, _ = verb("runs", "list", "--runs", str(tmp_path / "runs"), "--json")
    (listed,) = json.loads(out)["runs"]
    assert listed["error"] == "No space left on device: 'runs/a/metrics.csv'"


def test_metrics_that_are_no_table_are_named_by_watch_alone(run, verb):
    # The run has no recording, but its config is whole.
    assert yaml.safe_load((run / "config.yaml").read_text())["capture"] is None
    (run / "metrics.csv").write_bytes(b"\xff\xfe")
    code, _, err = verb("predict", str(run), "--threads", "1")
    assert code == 0, err


@pytest.mark.parametrize(
    "words", [["evaluate"], ["runs", "show"], ["runs", "compare", "OTHER"]], ids=" ".join
)
def test_a_config_that_was_edited_is_said_wherever_a_run_is_read(run, verb, tmp_path, words):
    other = tmp_path / "runs/theirs/other"
    shutil.copytree(run, other)
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(record | {"id": "other"}))
    line = [*(str(other) if word == "OTHER" else word for word in words), str(run)]
    code, _, err = verb(*line)
    assert code == 0 and "was edited" not in err
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["answer"]["max_answer_tokens"] += 1
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = verb(*line)
    said = "started with answer.max_answer_tokens=8, and the file has answer.max_answer_tokens=9"
    assert code == 0 and said in " ".join(err.split())
