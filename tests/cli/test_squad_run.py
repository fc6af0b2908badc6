import json
from pathlib import Path

import pytest
import yaml

from qa_research.launch.compose import checked
from qa_research.tasks.answering.squad import read_questions, squad_json
from tests.conftest import make_question


@pytest.fixture
def run(questions, tokenizer, tmp_path, composed) -> Path:
    """The directory of a run of a tiny random network, as a training leaves it."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering

    from qa_research.tasks.answering.windows import fingerprint

    directory = tmp_path / "runs" / "study" / "tiny-s1"
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    network = BertForQuestionAnswering(
        BertConfig(vocab_size=len(tokenizer), intermediate_size=16, **sizes)
    )
    network.config.save_pretrained(directory / "model")
    tokenizer.save_pretrained(directory / "model")
    (directory / "checkpoints").mkdir()
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 7}, directory / "checkpoints" / "best.ckpt")
    fingerprints = {}
    for split, rows in (("train", questions), ("validation", questions[:3])):
        path = tmp_path / f"{split}.json"
        path.write_text(json.dumps(squad_json(rows, "1.1")))
        fingerprints[split] = fingerprint(read_questions(path, split))
    config = checked(
        composed(
            "study=study",
            "data=squad_file",
            f"data.train_path={tmp_path / 'train.json'}",
            f"data.validation_path={tmp_path / 'validation.json'}",
            "data.max_tokens=48",
            "data.stride_tokens=8",
            "answer.max_answer_tokens=8",
            "answer.n_best=5",
        )
    )
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    record = {
        "id": "1",
        "study": "study",
        "status": "finished",
        "fingerprints": fingerprints,
        "unanswerable": False,
    }
    (directory / "run.json").write_text(json.dumps(record))
    return directory


@pytest.fixture
def ask(verb, run, tmp_path):
    """Run `squad --run` on that run: (exit code, stdout, stderr)."""
    words = ("--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache"))
    return lambda *more: verb("squad", *more, "--run", "tiny", *words)


def test_a_run_answers_its_own_questions_and_is_judged(ask, questions):
    code, out, _ = ask("4", "--split", "train", "--json")
    found = json.loads(out)
    assert code == 0 and found["source"] == "train of tiny-s1" and found["id"] == "q4"
    answer, context = found["run"], found["context"]
    assert context[answer["char_start"] : answer["char_end"]] == answer["text"] != ""
    assert 0 < answer["probability"] <= 1 and answer["checkpoint"] == "best"
    assert answer["exact_match"] == float(answer["text"].lower() == "dr obi")
    assert (found["fit"]["max_tokens"], found["fit"]["stride_tokens"]) == (48, 8)
    _, out, err = ask("4", "--split", "train")
    assert f"{{{{{answer['text']}}}}}" in out.replace("[[", "").replace("]]", "")
    assert "run         tiny-s1 (best)" in out and "exact match" in out
    assert err == "Opening tiny-s1\n"


def test_the_splits_of_a_run_and_other_data(ask, questions, tmp_path):
    data = tmp_path / "dev.json"
    rows = [*questions, make_question(8, "Why is there no answer?", None)]
    data.write_text(json.dumps(squad_json(rows, "v2.0")))
    assert json.loads(ask("2", "--json")[1])["total"] == 3
    code, _, err = ask("3")
    assert code == 2 and "--run=tiny-s1 --split=validation has the indices 0 to 2" in err
    code, _, err = ask("3", "--split", "test")
    assert code == 2 and "a run has the splits train and validation" in err
    found = json.loads(ask("8", "--data", str(data), "--json")[1])
    assert found["total"] == 9 and found["run"]["exact_match"] == 0
    code, _, err = ask("3", "--max-tokens", "64")
    assert code == 2 and "--max-tokens=64 cannot be combined with --run" in err


def test_questions_that_are_no_longer_the_runs_are_refused_unless_catalogued(ask, tmp_path):
    changed = [make_question(0, "Who leads chess?", "Ms Lund")]
    ask("search", "chess")
    for split in ("train", "validation"):
        (tmp_path / f"{split}.json").write_text(json.dumps(squad_json(changed, "1.1")))
    code, out, _ = ask("search", "chess")
    assert code == 0 and "q0" in out
    code, out, err = ask("search", "chess", "--split", "train")
    assert code == 2 and out == "" and "have changed since this run" in err


def test_a_question_that_fits_into_no_window_is_shown_all_the_same(ask, tmp_path):
    data = tmp_path / "long.json"
    rows = [make_question(0, "Who teaches " * 60 + "chess?", "Ms Lund")]
    data.write_text(json.dumps(squad_json(rows, "1.1")))
    code, out, _ = ask("0", "--data", str(data))
    assert code == 0 and "Who teaches Who teaches" in out and "its answer" not in out
    found = json.loads(ask("0", "--data", str(data), "--json")[1])
    assert found["run"] is None and found["fit"]["windows"] == [] and found["fit"]["room"] == 36
