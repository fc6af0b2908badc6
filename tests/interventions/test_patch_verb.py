"""`qa-research patch` on a tiny run of the built-in notices, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from qa_research.cli.verbs import run as run_verb
from qa_research.interventions.patching import pairs as reading
from qa_research.interventions.patching.figure import patching_figure
from qa_research.interventions.patching.pairs import (
    UNRELATED,
    drawn_pairs,
    misfit,
    named_pairs,
    with_unrelated,
)
from qa_research.interventions.patching.patching import PatchRequest, patch_steps
from qa_research.interventions.patching.show import show_patched
from qa_research.runs.open import open_run
from qa_research.tasks.opened import OwnExamples
from tests.figures.drawn import collisions
from tests.tiny_run import TINY

SIZES = ("data.train_questions=48", "data.validation_questions=120", "trainer.max_steps=4")
KEPT = ("checkpoint.keep_every_n_steps=2", "capture=none", "logger.graph=false")
REQUEST = PatchRequest((), 6, None, "utf-8", (), 1)


@pytest.fixture(scope="module")
def directory(cache, tmp_path_factory):
    """A tiny run that kept its weights after 2 and 4 steps."""
    runs = tmp_path_factory.mktemp("runs")
    places = (f"paths.runs={runs}", f"paths.cache={cache}")
    assert run_verb(["train", *TINY, *SIZES, *KEPT, *places]) == 0
    return next(path.parent for path in runs.rglob("run.json"))


@pytest.fixture(scope="module")
def own(directory):
    """The run's own examples, which are made once for all tests."""
    return OwnExamples(open_run(directory, "2"))


@pytest.fixture(scope="module")
def ids(own):
    """By kind the ids of the run's validation questions."""
    rows = own.validation.rows
    return {kind: [row.id for row in rows if row.kind == kind] for kind in ("match", "lookup")}


def write_squad(path, rows):
    """Questions in SQuAD's form: (id, question, context, answer)."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": name,
                    "question": question,
                    "answers": [{"text": answer, "answer_start": context.index(answer)}],
                }
            ],
        }
        for name, question, context, answer in rows
    ]
    path.write_text(json.dumps({"data": [{"title": "own", "paragraphs": paragraphs}]}))
    return str(path)


def test_drawn_pairs_differ_in_one_token_and_chose_nothing(own):
    found, validation = drawn_pairs(own, 6, 1), own.validation
    assert len(found) == 6 and len({pair.clean.read.text for pair in found}) == 6
    for pair in found:
        assert not misfit(pair.clean.read, pair.corrupted.read, "spans")
        tokens = zip(pair.clean.read.tokens, pair.corrupted.read.tokens, strict=True)
        assert sum(one != other for one, other in tokens) == 1
        assert validation.all_chose or pair.clean.read.id not in validation.choosing
    assert [p.told() for p in drawn_pairs(own, 6, 1)] == [p.told() for p in found]
    assert [p.told() for p in drawn_pairs(own, 6, 2)] != [p.told() for p in found]


def test_unrelated_texts_are_as_long_and_about_other_notices(own):
    found, reference = with_unrelated(own, drawn_pairs(own, 6, 1), 1)
    texts = {pair.clean.read.text for pair in found}
    for pair in found:
        assert 1 <= len(pair.unrelated) <= UNRELATED
        assert len({len(side.read.tokens) for side in pair.unrelated}) == 1
        assert abs(len(pair.unrelated[0].read.tokens) - pair.tokens) <= 4
        assert not texts & {side.read.text for side in pair.unrelated}
    assert 40 < len(reference) <= reading.REFERENCE
    assert not texts & {row.context for row in reference}


def test_steps_have_all_components_and_a_figure(directory, capsys):
    found = patch_steps(directory, ["2", "4"], REQUEST)
    assert [step.step for step in found.steps] == [2, 4] and len(found.pairs) == 6
    for step in found.steps:
        assert [one.kind for one in step.patches] == ["heads"] * 4 + ["feed_forward"] * 2
        gaps = np.subtract(step.clean_by_pair, step.corrupted_by_pair)
        assert step.gap.value == pytest.approx(gaps.mean())
        assert all((one.restored is not None) == step.has_gap for one in step.patches)
    assert not collisions(patching_figure(found))
    show_patched(found)
    out = capsys.readouterr().out
    assert "6 minimal pairs of questions, such as" in out and "step 2" in out and "step 4" in out
    again = patch_steps(directory, ["4"], REQUEST)
    assert again.steps[0] == found.steps[1] and again.pairs == found.pairs


def test_the_verb_writes_what_it_tells(directory, ids, verb, tmp_path):
    chosen = ids["match"][:2]
    words = ("patch", str(directory), "--question", chosen[0], "--question", chosen[1])
    what = ("--what", "heads.0,layers", "--what", "positions.embeddings", "--out", str(tmp_path))
    code, out, err = verb(*words, *what, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert {pair["id"] for pair in told["pairs"]} == {*chosen}
    assert json.loads((tmp_path / "patching.json").read_text()).items() <= told.items()
    assert (tmp_path / "patching.png").stat().st_size > 10_000
    kinds = {one["kind"] for one in told["steps"][0]["patches"]}
    assert kinds == {"heads", "layers", "positions"}
    assert told["steps"][0]["gap"]["low"] is None and "fewer than 5 pairs" in told["notes"][0]


def test_pairs_of_ones_own_are_read_from_a_file(directory, verb, tmp_path):
    context = "Group B meets in the barn. The place for group K is the attic."
    asked = [("Where does group B meet?", "barn"), ("Where does group K meet?", "attic")]
    written = [(str(n), question, context, answer) for n, (question, answer) in enumerate(asked)]
    path = write_squad(tmp_path / "pairs.json", written)
    words = ("patch", str(directory), "--steps", "2", "--out", str(tmp_path / "out"))
    code, out, err = verb(*words, "--pairs-file", path, "--json")
    assert code == 0, err
    (pair,) = json.loads(out)["pairs"]
    assert (pair["answer"], pair["other_answer"]) == ("barn", "attic")


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (("Where does group K meet at all?", "attic"), "tokens, and both must have as many"),
        (("Where does group B meet?", "barn"), "have their answers at the same tokens"),
        (None, "has 1 questions, and each two that follow each other are a pair"),
    ],
)
def test_a_file_with_no_pairs_is_refused(second, sentence, directory, verb, tmp_path):
    context = "Group B meets in the barn. The place for group K is the attic."
    asked = [("Where does group B meet?", "barn"), *([second] if second else [])]
    written = [(str(n), question, context, answer) for n, (question, answer) in enumerate(asked)]
    path = write_squad(tmp_path / "pairs.json", written)
    words = ("patch", str(directory), "--steps", "2", "--out", str(tmp_path / "out"))
    code, _, err = verb(*words, "--pairs-file", path)
    assert code == 2 and sentence in err and f"--pairs-file={path}" in err


def test_what_cannot_be_patched_is_one_sentence(directory, verb, tmp_path):
    cases = [
        (("--steps", "3"), "there is no checkpoint 3; this run has best, last, 2, 4"),
        (("--what", "heads.5.1"), "--what heads.5.1 is no part of this network; did you mean"),
        (("--what", "mood"), "it has heads, feed_forward, layers, positions"),
        (("--question", "x", "--pairs-file", "x.json"), "leave out --question"),
        (("--pairs-file", "gone.json"), "--pairs-file=gone.json"),
        (("--pairs", "4", "--question", "x"), "--pairs 4 draws pairs, and --question names them"),
        (("--pairs", "4", "--pairs-file", "x"), "and --pairs-file names them; leave out one"),
    ]
    for words, sentence in cases:
        code, _, err = verb("patch", str(directory), "--out", str(tmp_path), *words)
        assert code == 2 and sentence in err, (words, err)
        assert "Traceback" not in err


def test_questions_without_a_counterpart_are_refused(own, ids):
    lookup = ids["lookup"][0]
    way_out = "built-in notices alone; --pairs-file FILE takes pairs of your own"
    with pytest.raises(ValueError, match=f"--question {lookup} has no counterpart.*{way_out}"):
        named_pairs(own, [ids["match"][0], lookup], 1)
    rows = [row for row in own.validation.rows if row.id in ids["lookup"]]
    without = OwnExamples(own.opened)
    without.validation = replace(own.validation, rows=rows, choosing=frozenset())
    with pytest.raises(
        ValueError, match=f"none of the validation questions.*counterpart.*{way_out}"
    ):
        drawn_pairs(without, 6, 1)


def test_an_unrelated_text_of_another_length_is_fitted(own):
    opened = own.opened
    found = drawn_pairs(own, 3, 1)
    rows = own.validation.rows
    lengths = [len(one.tokens) for one in opened.watched(rows).examples]
    short, long = rows[lengths.index(min(lengths))], rows[lengths.index(max(lengths))]
    sides = [reading.Side(row, opened.watched([row]).examples[0]) for row in (short, long)]
    (batch,) = reading.batches_of(opened, [replace(pair, unrelated=sides) for pair in found])
    for text, length in zip(batch.unrelated, (min(lengths), max(lengths)), strict=True):
        values = torch.arange(length).repeat(3, 1)[:, :, None].float()
        fitted = batch.as_long(values, text)[:, :, 0]
        assert fitted.shape == batch.clean.mask.shape
        assert fitted[0].tolist() == [float(n % length) for n in range(fitted.shape[1])]
