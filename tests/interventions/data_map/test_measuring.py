"""The data map of a tiny run, read back from its checkpoints, as the verb tells, draws and writes it."""

import json
import shutil

import numpy as np
import pytest
import torch

from qa_research.cli.verbs import run as run_verb
from qa_research.interventions.data_map.choosing import MapRequest
from qa_research.interventions.data_map.figure import map_figure
from qa_research.interventions.data_map.measuring import map_of
from qa_research.interventions.data_map.page import map_page
from qa_research.runs.anchors import anchors_of
from qa_research.runs.checkpoints import steps_in
from qa_research.runs.open import open_run
from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.windows import make_windows
from tests.figures.drawn import collisions
from tests.html_pages import ParsedPage
from tests.tiny_run import TINY, train
from tests.training.reading import directory_of

STEPS = ("2", "4", "6")
ALL = MapRequest(None, (), 60, 1)


@pytest.fixture(scope="module")
def run(cache, tmp_path_factory):
    """A tiny run of six steps that keeps every other one."""
    runs = tmp_path_factory.mktemp("runs")
    places = (f"paths.runs={runs}", f"paths.cache={cache}", "logger.graph=false", "capture=none")
    assert run_verb(["train", *TINY, *places, "checkpoint.keep_every_n_steps=2"]) == 0
    return next(path.parent for path in runs.rglob("run.json"))


def mapped(run, request=ALL, steps=STEPS):
    at = steps_in(run, steps)
    return map_of(open_run(run, next(iter(at.values()))), at, request)


def chances_of(opened, rows):
    """The probability of each question's true span: the mean over its windows that hold the answer."""
    windows = make_windows(rows, opened.tokenizer, 128, 32)
    batch = padded_batch(windows, range(len(windows)), opened.tokenizer.pad_token_id)
    names = ("input_ids", "attention_mask", "token_type_ids")
    with torch.no_grad():
        output = opened.network(**{name: batch[name] for name in names})
    found = [[] for _ in rows]
    for i, length in enumerate(windows.lengths):
        start, end = (
            np.exp(logits[i, :length].double().numpy())
            for logits in (output.start_logits, output.end_logits)
        )
        first, last = windows.span_first[i], windows.span_last[i]
        if last > 0:
            found[windows.question[i]].append(start[first] / start.sum() * end[last] / end.sum())
    return [np.mean(own) for own in found]


def test_every_number_is_that_of_an_independent_computation(run):
    found = mapped(run)
    assert found.steps == (2, 4, 6) and len(found.placed) == found.total == 48
    chances, right = [], []
    for step in STEPS:
        opened = open_run(run, step)
        rows = opened.own("train").rows
        chances.append(chances_of(opened, rows))
        right.append([row["exact_match"] == 1 for row in opened.rows(rows)])
    for i, one in enumerate(found.placed):
        own = np.array([step[i] for step in chances])
        assert one.probabilities == pytest.approx(own.tolist(), rel=1e-3)
        assert one.confidence == pytest.approx(own.mean(), rel=1e-3)
        assert one.variability == pytest.approx(own.std(), rel=1e-2, abs=1e-6)
        answers = [step[i] for step in right]
        assert one.right == tuple(answers) and one.correctness == pytest.approx(np.mean(answers))
        assert one.first_right == (found.steps[answers.index(True)] if any(answers) else None)


def test_the_map_is_the_same_again_in_any_order_of_steps_and_of_a_part(run):
    whole = mapped(run)
    assert mapped(run, steps=("6", "2", "4")) == whole
    some = mapped(run, MapRequest(10, (), 60, 3))
    assert some == mapped(run, MapRequest(10, (), 60, 3)) and some.total == 48
    known = {one.id: one for one in whole.placed}
    for one in some.placed:
        # Other batches round otherwise.
        assert one.probabilities == pytest.approx(known[one.id].probabilities, rel=1e-4)
    assert mapped(run, MapRequest(10, (), 60, 4)).placed != some.placed
    ids = tuple(one.id for one in some.placed)
    assert [one.id for one in mapped(run, MapRequest(ids[::-1], (), 60, 1)).placed] == list(ids)


def test_one_step_has_no_variability(run):
    found = mapped(run, steps=("last",))
    assert {one.region for one in found.placed} == {"easy", "hard"}
    assert all(one.variability is None for one in found.placed) and found.agreement is None
    assert "no variability" in found.notes[0] and json.loads(json.dumps(found.as_json()))
    assert map_figure(found).axes and "Confidence" in ParsedPage(map_page(found, lambda _: [])).text


def test_what_cannot_be_mapped_is_one_sentence(run):
    with pytest.raises(
        ValueError, match="--questions: nobody is the id of none of the 48 training q"
    ):
        mapped(run, MapRequest(("nobody",), (), 60, 1))
    with pytest.raises(ValueError, match="--marked: nobody is the id of none"):
        mapped(run, MapRequest(None, ("nobody",), 60, 1))
    with pytest.raises(ValueError, match="--questions 49 is more than the 48 training questions"):
        mapped(run, MapRequest(49, (), 60, 1))
    everyone = tuple(one.id for one in mapped(run, steps=("2",)).placed)
    with pytest.raises(ValueError, match="--marked: all of the 48 questions"):
        mapped(run, MapRequest(None, everyone, 60, 1))
    with pytest.raises(ValueError, match="--marked: none of the 2 questions"):
        mapped(run, MapRequest(everyone[:2], everyone[2:4], 60, 1))
    with pytest.raises(ValueError, match="--steps names step 6 twice, as 6 and as best"):
        mapped(run, steps=("6", "best"))
    with pytest.raises(ValueError, match=r"--max-minutes allows 1e-09; --max-minutes 1 allows all"):
        mapped(run, MapRequest(None, (), 1e-9, 1))


def test_marked_examples_are_looked_for_by_each_measure(run):
    marked = tuple(one.id for one in mapped(run, steps=("2",)).placed[:5])
    found = mapped(run, MapRequest(None, marked, 60, 1))
    assert sum(one.is_marked for one in found.placed) == 5
    names = [one.measure for one in found.found]
    assert names[0] == "low confidence" and "low probability with random weights" in names
    assert all(0 <= one.auc.low <= one.auc.value <= one.auc.high <= 1 for one in found.found)
    # The confidence is the one of the map.
    own = [one.confidence for one in found.placed if one.is_marked]
    others = [one.confidence for one in found.placed if not one.is_marked]
    won = np.mean([(mine < other) + (mine == other) / 2 for mine in own for other in others])
    assert found.found[0].auc.value == pytest.approx(won)


def test_each_point_of_the_page_leads_to_its_example_and_what_to_run_next(run):
    found = mapped(run)
    page = ParsedPage(map_page(found, lambda identity: [f"qa-research squad {identity}"]))
    links = [names["href"] for tag, names in page.tags if tag == "a"]
    ids = {names["id"] for tag, names in page.tags if tag == "li" and "id" in names}
    assert len(links) == 48 and {link.removeprefix("#") for link in links} == ids
    assert all(f"qa-research squad {one.id}" in page.text for one in found.placed)
    assert not collisions(map_figure(found))


def test_the_verb_writes_what_it_tells(run, verb, tmp_path):
    words = ("data-map", str(run), "--out", str(tmp_path), "--threads", "1")
    code, out, err = verb(*words, "--hard", "3", "--easy", "2", "--ambiguous", "1", "--json")
    told = json.loads(out)
    assert code == 0, err
    assert {region: len(ids) for region, ids in told["listed"].items()} == {
        "hard": 3,
        "ambiguous": 1,
        "easy": 2,
    }
    assert json.loads((tmp_path / "data_map.json").read_text()).items() <= told.items()
    assert (tmp_path / "data_map.png").stat().st_size > 10_000
    by_confidence = sorted(told["placed"], key=lambda one: one["confidence"])
    assert told["listed"]["hard"] == [one["id"] for one in by_confidence[:3]]
    code, out, err = verb(*words, "--hard", "1")
    hardest = by_confidence[0]["id"]
    assert code == 0 and f"--split train --question {hardest}" in out, err
    # From the first state that was kept; this run has none.
    kept = [anchor.step for anchor in anchors_of(run)]
    at = f"{kept[0]}" if kept else "2 --from-start"
    assert f"qa-research fork {run} --at {at} --without {hardest}" in out
    assert "qa-research watch" not in out and str(tmp_path / "data_map.html") in out


def test_the_verb_refuses_what_it_cannot_do(run, verb, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("\n \n")
    for words, sentence in (
        (
            ("--steps", "2", "--ambiguous", "1"),
            "--ambiguous 1 needs the spread over two kept steps",
        ),
        (("--steps", "3"), "there is no checkpoint 3; this run has best, last, 2, 4, 6"),
        (("--questions", "0"), "--questions must be at least 1, got 0"),
        (("--questions", str(ids)), "names no id"),
        (("--max-minutes", "0"), "--max-minutes must be above 0, got 0"),
        (("--max-minutes", "nan"), "nan"),
    ):
        code, out, err = verb("data-map", str(run), *words, "--out", str(tmp_path / "out"))
        assert (code, out) == (2, "") and sentence in err, err
    assert not (tmp_path / "out").exists()


def test_a_run_that_was_interrupted_is_mapped_as_far_as_it_came(run, tmp_path):
    other = shutil.copytree(run, tmp_path / run.name)
    for name in ("best.ckpt", "last.ckpt", "step-000006.ckpt"):
        (other / "checkpoints" / name).unlink()
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    assert mapped(other, steps=("2", "4")).placed == mapped(run, steps=("2", "4")).placed


def test_other_training_data_are_refused(run, tmp_path):
    other = shutil.copytree(run, tmp_path / run.name)
    record = json.loads((other / "run.json").read_text())
    record["fingerprints"]["train"] = "0" * 64
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="the train questions have changed since this run"):
        mapped(other)


def test_pairs_are_mapped_by_the_probability_of_their_label(composed, tmp_path, cache):
    config = composed(
        "+experiment=paraphrase",
        *("model=pairs_bert_tiny", "model.hidden_size=16", "model.intermediate_size=32"),
        *("model.num_attention_heads=2", "model.vocab_size=300", "trainer.max_steps=4"),
        *("checkpoint.keep_every_n_steps=2", "capture=none", "logger.graph=false"),
        *("train.progress=none", "train.threads=1", "data.train_examples=40", "data.batch_size=8"),
        *(f"paths.runs={tmp_path}", f"paths.cache={cache}"),
    )
    train(config)
    run = directory_of(config)
    found = mapped(run, steps=("2", "4"))
    opened = open_run(run, "4")
    for one, row in zip(found.placed, opened.rows(opened.own("train").rows), strict=True):
        shares = np.exp(row["logits"]) / np.exp(row["logits"]).sum()
        assert one.probabilities[1] == pytest.approx(shares[row["label"]], rel=1e-5)
        assert one.right[1] == bool(row["correct"])


def test_a_task_without_a_probability_of_the_truth_says_so(composed, tmp_path, cache, verb):
    config = composed(
        "+experiment=sequence_cnn",
        *("data.made_train=44", "data.made_validation=40", "trainer.max_epochs=1"),
        *("capture=none", "train.progress=none", "logger.graph=false"),
        *(f"paths.runs={tmp_path}", f"paths.cache={cache}"),
    )
    train(config)
    code, out, err = verb("data-map", str(directory_of(config)), "--steps", "best")
    assert (code, out) == (2, "") and "says no probability of what is true of its sequences" in err
