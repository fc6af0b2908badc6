"""Runs of sequence regression: trained, stopped and resumed, read back, listed and compared."""

import itertools
import json
import random
import re
import signal

import numpy as np
import pytest

from qa_research.capture.recording.reader import Recording
from qa_research.explain.words.attribute import AttributionRequest
from qa_research.explain.words.page import write_attribution
from qa_research.explain.words.planted import find_planted
from qa_research.explain.words.result import AttributionOverSteps
from qa_research.explain.words.steps import examples_over_steps
from qa_research.launch.compose import checked
from qa_research.runs.compare import side_by_side
from qa_research.runs.directory import read_record, run_directory
from qa_research.runs.listing import headline, list_runs, sorted_runs
from qa_research.runs.open import open_run
from qa_research.scores import STATISTICS
from qa_research.signals import Stopped
from qa_research.tasks.evaluation import evaluate
from qa_research.training.story import train
from tests.conftest import STOPPING_SEED
from tests.tasks.sequences.signalling import SignallingTransformer
from tests.training.reading import recording_of, result_of, rows_of
from tests.training.signalling import CrashError, Plan

# 44 sequences in batches of 8: 6 batches an epoch, validated at its end.
BATCHES, EPOCHS = 6, 2
SETTINGS = (
    "model._target_=tests.tasks.sequences.signalling.SignallingTransformer",
    "model.dropout=0.3",
    "model.ponder_cost=0.01",
    "model.layers=2",
    "capture=examples",
    "capture/recorders=[outputs,head_weights,dynamics]",
    "capture.questions=2",
    "capture.every_n_steps=2",
    "capture.max_step_fraction=null",
)
MOMENTS = {"training": BATCHES * EPOCHS, "validation": 3 * EPOCHS, "validation's end": 1}


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    SignallingTransformer.follow()


def stopping_points(count: int) -> list[tuple[int, int, Plan]]:
    """Drawn from STOPPING_SEED: accumulation, workers, and which signal comes when."""
    draw = random.Random(STOPPING_SEED)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    kinds = list(itertools.product((1, 4), (0, 2), MOMENTS, signals))
    return [
        (accumulate, workers, Plan(hook, draw.randint(1, MOMENTS[hook] // 2 or 1), number))
        for accumulate, workers, hook, number in draw.sample(kinds, count)
    ]


@pytest.fixture(scope="module")
def uninterrupted():
    """Results of trainings that were not stopped, by their accumulation."""
    return {}


@pytest.mark.parametrize("point", stopping_points(24), ids=str)
def test_a_stopped_training_resumes_bit_for_bit(small, uninterrupted, point):
    accumulate, workers, plan = point
    settings = [*SETTINGS, f"trainer.accumulate_grad_batches={accumulate}"]
    if accumulate not in uninterrupted:
        whole = small(*settings, runs="whole")
        train(whole)
        run = run_directory(whole)
        uninterrupted[accumulate] = (result_of(run), recording_of(run))
    config = small(*settings, f"data.num_workers={workers}")
    plans = [plan]
    if plan.number == signal.SIGUSR1:
        # Training continues after the save, so something else has to end it: a crash, later on.
        plans.append(Plan("training", BATCHES * EPOCHS, None))
    SignallingTransformer.follow(*plans)
    with pytest.raises((Stopped, CrashError)):
        train(config)
    SignallingTransformer.follow()
    train(config)
    assert read_record(run_directory(config))["resumed"][0]["step"] > 0
    result, recording = uninterrupted[accumulate]
    assert result_of(run_directory(config)) == result
    found = recording_of(run_directory(config))
    assert found.keys() == recording.keys()
    for group, arrays in recording.items():
        assert arrays.identical(found[group]), group


def test_losses_order_an_epoch_and_a_stop_in_it_changes_nothing(small):
    plain = [word for word in SETTINGS if not word.startswith("capture")]
    settings = (*plain, "data.curriculum=loss")
    results = []
    for words, runs, stop in (
        (settings, "whole", None),
        (settings, "stopped", 9),
        (plain, "plain", None),
    ):
        config = small(*words, "capture=none", runs=runs)
        if stop:
            SignallingTransformer.follow(Plan("training", stop, signal.SIGINT))
            with pytest.raises(Stopped):
                train(config)
            SignallingTransformer.follow()
        train(config)
        results.append(result_of(run_directory(config)))
    whole, stopped, without = results
    assert stopped == whole != without


def test_it_trains_and_is_read_back(small):
    config = small("model.ponder_cost=0.01", "model.layers=3")
    train(config)
    run = run_directory(config)
    record = read_record(run)
    assert record["status"] == "finished"
    assert record["sequences"] == {"train": 44, "validation": 40, "choosing": 8, "test": 0}
    columns = list(rows_of(run)[0])
    names = ["loss", "pearson", "spearman", "steps"]
    assert columns[-8:] == [f"{split}/{name}" for split in ("val", "choosing") for name in names]
    written = json.loads((run / "predictions" / "validation.json").read_text())
    fresh = [row for row in written if not row["chose"]]
    assert len(fresh) == 32 and all(1 <= row["steps"] <= 3 for row in written)
    pearson = STATISTICS["pearson"]
    values = [[row[key] for row in fresh] for key in ("prediction", "truth")]
    assert pearson.of(np.array(values)) == pytest.approx(record["best"]["val/pearson"])
    opened = open_run(run)
    own = opened.own("validation")
    rows = opened.rows(own.rows)
    for row, other in zip(rows, written, strict=True):
        assert row["id"] == other["id"]
        assert row["prediction"] == pytest.approx(other["prediction"], abs=1e-5)
    scores = evaluate(opened, own).scores["all"]
    assert scores["val/pearson"].value == pytest.approx(record["best"]["val/pearson"], abs=1e-5)


def test_baselines_stand_beside_every_result(small, caplog, verb):
    config = small()
    with caplog.at_level("INFO"):
        train(config)
    record = read_record(run_directory(config))
    assert list(record["baselines"]) == [
        "ridge on letters by place",
        "ridge on counts of 4 letters",
    ]
    for name, scores in record["baselines"].items():
        assert scores["val/pearson"]["total"] == 32
        shown = f"{name}  +{scores['val/pearson']['value']:.3f} ".replace("  +", r"\s+")
        assert re.search(shown, caplog.text)
    code, _, err = verb("report", str(run_directory(config)))
    assert code == 0, err
    page = (run_directory(config) / "report.html").read_text()
    assert all(name in page for name in record["baselines"])


@pytest.mark.parametrize(
    ("model", "baseline"),
    [
        ("sequence_linear", "ridge on letters by place"),
        ("sequence_kmer", "ridge on counts of 4 letters"),
    ],
)
def test_a_ridge_goes_the_way_of_every_network_and_is_the_baseline(solved, model, baseline):
    config = solved(model)
    train(config)
    record = read_record(run_directory(config))
    value = record["baselines"][baseline]["val/pearson"]["value"]
    assert record["steps"] == 0 and record["best"]["val/pearson"] == pytest.approx(value, abs=1e-5)
    opened = open_run(run_directory(config))
    scores = evaluate(opened, opened.own("validation")).scores["all"]
    assert scores["val/pearson"].value == pytest.approx(value, abs=1e-5)


def test_what_is_solved_is_not_trained(solved):
    with pytest.raises(ValueError, match=r"is solved, and not trained: trainer.max_steps=0"):
        train(solved("sequence_kmer", "trainer.max_steps=2"))


def test_runs_are_listed_sorted_and_compared(small, tmp_path):
    configs = [small(f"seed={seed}", f"model.lr={lr}") for seed, lr in ((1, 1e-6), (2, 0.02))]
    for config in configs:
        train(config)
    listed = list_runs(tmp_path / "runs").runs
    assert headline(listed)[0] == "val/pearson"
    found = [read_record(run_directory(config))["best"]["val/pearson"] for config in configs]
    ranked = [run.entry.seed for run in sorted_runs(listed, "val/pearson")]
    assert ranked == ([1, 2] if found[0] > found[1] else [2, 1])
    (pair,) = side_by_side([run_directory(config) for config in configs]).pairs
    assert pair.comparison.differences[0].points == pytest.approx(found[1] - found[0])


def test_it_is_looked_into_and_learns_the_same(small):
    settings = (
        "capture.every_n_steps=4",
        "capture.max_step_fraction=null",
        "+capture/recorders@capture=batch_attention",
    )
    alone = small(runs="alone")
    watched = small("capture=examples", *settings, "capture.questions=3", runs="watched")
    train(alone)
    train(watched)
    assert result_of(run_directory(alone)) == result_of(run_directory(watched))
    recorded = recording_of(run_directory(watched))
    assert recorded["outputs"]["step"].values.tolist() == [0, 4, 8, 12]
    assert recorded["attention"].sizes["head"] == 2
    of_batch = recorded["batch_attention"]
    assert of_batch["tokens"].values.tolist() == [0, 60, 60, 60]
    assert of_batch["weight"][1:].sum("key").values == pytest.approx(1.0, abs=0.01)
    assert "token_id" not in of_batch


def test_a_sequence_is_explained_letter_by_letter_and_its_motifs_are_known(small):
    config = small()
    train(config)
    opened = open_run(run_directory(config))
    rows = opened.own("validation").rows[:3]
    for found in find_planted(opened, rows, seed=0):
        assert len(found.trained) == len(found.randomised) == 3


def test_a_report_shows_where_attention_goes_in_a_sequence_with_motifs(small, verb, tmp_path):
    config = small("capture=examples", "capture.questions=3")
    train(config)
    run = run_directory(config)
    assert verb("report", str(run), "--out", str(tmp_path / "report"))[0] == 0
    table = (tmp_path / "report" / "figures" / "attention_received.csv").read_text()
    rows = [line.split(",") for line in table.splitlines()]
    received = [float(row[rows[0].index("attention received")]) for row in rows[1:]]
    # One layer of 60 letters.
    assert len(received) == 60 and sum(received) == pytest.approx(1.0, abs=0.01)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "red: motif tokens" in page


def test_watched_sequences_are_explained_at_each_kept_step(small, tmp_path):
    watching = ("capture.questions=3", "capture.every_n_steps=6", "capture.max_step_fraction=null")
    config = small("capture=examples", *watching, "checkpoint.keep_every_n_steps=6")
    train(config)
    run = run_directory(config)
    recording = Recording(run / "recording.zarr")
    request = AttributionRequest(("gradients", "erasure"), 10, 1, 3, False)
    found = examples_over_steps(run, recording, [2, 0], request)
    said = recording.read("outputs")["prediction"]
    for number, result in zip((2, 0), found, strict=True):
        assert result.question_id == recording.questions[number]["id"]
        assert result.steps == (6, 12) and result.shuffles == 20
        recorded = said.isel(question=number).sel(step=[6, 12]).values
        assert result.probability == pytest.approx(recorded, rel=1e-4)
        for values in result.methods.values():
            assert values.start is None and [len(row) for row in values.span] == [60, 60]
        files = write_attribution(result, tmp_path / str(number))
        assert AttributionOverSteps.load(files.numbers) == result
        page = files.page.read_text()
        assert f'True number: <strong dir="auto">{result.answers[0]}</strong>' in page
        assert "The letters at each kept step" in page and "start from 20 shuffles" in page
        assert "span" not in re.sub(r"<[^>]*>|{.*}", "", page.split("<main>")[1])


@pytest.fixture
def solved(composed, tmp_path, cache):
    """A checked config of a ridge."""

    def make(model: str, *overrides: str) -> dict:
        sizes = ("data.made_train=40", "data.made_validation=40", "train.progress=none")
        places = (f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}")
        return checked(composed(f"+experiment={model}", *sizes, *places, *overrides))

    return make


FILE = "sequence,label\n" + "".join(
    f"{a}{b}{c}acgtacgtacgt,{i}\n"
    for i, (a, b, c) in enumerate(itertools.product("acgt", repeat=3))
)


@pytest.fixture
def from_file(composed, tmp_path, cache):
    """A checked config of a ridge on a file."""
    (tmp_path / "all.csv").write_text(FILE)

    def make(*overrides: str) -> dict:
        return checked(
            composed(
                *("+experiment=sequence_linear", "data=sequence_files", "train.progress=none"),
                *(f"data.train_path={tmp_path / 'all.csv'}", "data.overlap_letters=0"),
                *(f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}", *overrides),
            )
        )

    return make


def test_a_share_of_a_single_file_validates(from_file):
    config = from_file("data.validation_share=0.25")
    train(config)
    record = read_record(run_directory(config))
    assert record["sequences"]["train"] == 48 and record["sequences"]["validation"] == 16


def test_paths_are_honoured_and_a_test_file_is_scored_once(from_file, tmp_path, caplog):
    (tmp_path / "test.csv").write_text(FILE.replace(",label", "\tlabel").replace(",", "\t"))
    config = from_file(
        f"data.validation_path={tmp_path / 'all.csv'}",
        f"data.test_path={tmp_path / 'test.csv'}",
    )
    with caplog.at_level("INFO"):
        train(config)
    record = read_record(run_directory(config))
    assert record["sequences"] == {"train": 64, "validation": 64, "choosing": 13, "test": 64}
    # The label is a sum over letters by place.
    assert record["test"]["val/pearson"]["value"] > 0.99
    assert "64 of 64 validation sequences are a training one" in caplog.text
    assert "on the test sequences" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["data.validation_share=null"], "data.validation_path must be given; with one file"),
        (["data.validation_path=x", "data.validation_share=0.1"], "exclude each other"),
        (["data.train_path=none.csv"], "data.train_path=none.csv does not exist"),
        (
            ["model.max_positions=10"],
            "line 2: a sequence of 15 letters, and the model reads at most",
        ),
        (["data.train_sequences=65"], "data.train_sequences=65, but there are only"),
        (["data.encoding=klingon"], "data.encoding=klingon is not an encoding"),
        (["model.penalties=[]"], "model.penalties names no penalty"),
        (
            ["data.train_path={same}"],
            "all 2 sequences have the label 3; two different ones are needed",
        ),
        (["model.kmer=9"], "model.kmer must be less than or equal to 6"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(from_file, tmp_path, overrides, sentence):
    (tmp_path / "same.csv").write_text("acgt,3\ncgta,3\n")
    overrides = [override.format(same=tmp_path / "same.csv") for override in overrides]
    own = any("data.validation_" in override for override in overrides)
    share = () if own else ("data.validation_share=0.1",)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(sentence)):
        train(from_file(*overrides, *share))
    assert not list((tmp_path / "runs").glob("*/*/run.json"))


def test_files_are_asked_with_and_without_labels_or_refused_by_line(solved, tmp_path, verb):
    config = solved("sequence_linear")
    train(config)
    run, path = str(run_directory(config)), tmp_path / "asked.csv"

    def asked(text: str, *words: str) -> tuple[int, str]:
        path.write_text(text)
        code, said, err = verb(*words, run, "--data", str(path), "--out", str(tmp_path / "out"))
        return code, said if code == 0 else err

    for text, known in (("acgt\nttga\n", 0), ("sequence,label\nacgt,\nttga,1\nttgc,2\n", 2)):
        code, said = asked(text, "predict")
        assert code == 0, said
        code, said = asked(text, "evaluate", "--json")
        assert code == 0, said
        assert json.loads(said)["total"] == known
    for text, sentence in {
        "": "is empty; expected a first line that names the columns",
        "sequence,label\nacgt,1,2\n": "line 2 has 3 columns, and the first line has 2",
        "sequence,label\nacgt,high\n": "line 2: the label is 'high'; expected a finite number",
        "sequence,label\nacgt,1\nacgz,1\n": "line 3: letter 4 of the sequence is 'z'; expected a, c, g",
        f"sequence\n{'a' * 300}\n": "line 2: a sequence of 300 letters, and the model reads at most",
        "seq,label\nacgt,1\n": "line 1 names no column 'sequence': found 'seq', 'label'",
    }.items():
        code, err = asked(text, "evaluate")
        assert code == 2 and f"--data={path}" in err and sentence in err, err
        assert "Traceback" not in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ("frozen", "where a TransformerNetwork has its layers is not known"),
        (
            "bottleneck",
            "finetuning=bottleneck adds to the layers of a network that reads text, and",
        ),
    ],
)
def test_a_strategy_of_finetuning_is_refused(small, strategy, sentence):
    config = small(f"finetuning={strategy}")
    with pytest.raises(ValueError, match=sentence):
        train(config)
    assert not run_directory(config).exists()


def test_motifs_longer_than_the_model_reads_are_refused(small):
    with pytest.raises(ValueError, match="sequences of 60 letters, and model.max_positions=50"):
        train(small("model.max_positions=50"))
