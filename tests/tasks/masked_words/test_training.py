"""Trainings that hide words: alone, and before another task that begins with their weights."""

import json
import logging
import math
import signal
from threading import Event, Thread

import pytest
import torch

from qa_research.launch.compose import checked
from qa_research.model.weights import PACKAGED
from qa_research.runs.checkpoints import load_network_weights
from qa_research.runs.directory import lock, read_record, run_directory, run_name
from qa_research.runs.open import open_run
from qa_research.runs.store import remove
from qa_research.signals import Stopped
from qa_research.tasks import pretraining
from qa_research.tasks.evaluation import evaluate
from qa_research.tasks.pretraining import config_of_pretraining
from qa_research.training.setup import set_up
from qa_research.training.story import train
from tests.tasks.masked_words.signalling import SignallingMasked
from tests.tiny_run import TINY
from tests.training.reading import result_of
from tests.training.signalling import Plan, Signalling

SIGNALLING = "tests.tasks.masked_words.signalling.SignallingMasked"
# Four steps of hiding words, and then six of answering.
SELF = ("model.pretraining=self", "model.pretraining_steps=4", "model.dropout=0.2")
OTHER = f"{Signalling.__module__}.{Signalling.__name__}"


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    SignallingMasked.follow()
    Signalling.follow()


@pytest.fixture
def words(composed, tmp_path, cache):
    """A checked config of a tiny training on hidden words; its runs lie in the test's own folder."""

    def make(*overrides: str, runs: str = "runs") -> dict:
        sizes = [word for word in TINY if "interval" not in word and "max_epochs" not in word]
        places = [f"paths.runs={tmp_path / runs}", f"paths.cache={cache}"]
        steps = ("trainer.max_steps=9", "trainer.val_check_interval=3", "logger.graph=false")
        more = ("data.train_questions=30", "data.validation_questions=120", "model.dropout=0.2")
        model = f"model._target_={SIGNALLING}"
        return checked(
            composed("+experiment=masked_words", *sizes, *steps, *more, model, *places, *overrides)
        )

    return make


def test_a_stopped_training_resumes_bit_for_bit(words):
    # The order of the second and third epoch depends on the losses of hidden words.
    whole, config = (words("data.curriculum=loss", runs=runs) for runs in ("whole", "runs"))
    train(whole)
    # Of 4 batches an epoch, stopped in the second one: its masks must not be those of the first.
    SignallingMasked.follow(Plan("training", 6, signal.SIGINT))
    with pytest.raises(Stopped):
        train(config)
    SignallingMasked.follow()
    train(config)
    assert result_of(run_directory(config)) == result_of(run_directory(whole))
    assert len(read_record(run_directory(config))["resumed"]) == 1


def test_what_it_measures_writes_and_says_again(words):
    config = words()
    setup = set_up(config)
    vocabulary = len(setup.task.module.tokenizer)
    train(config)
    record = read_record(run_directory(config))
    with (run_directory(config) / "metrics.csv").open() as file:
        assert "val/loss" in file.readline()
    # Nine steps teach such a small network next to nothing.
    assert record["best"]["val/loss"] == pytest.approx(math.log(vocabulary), rel=0.05)
    rows = json.loads((run_directory(config) / "predictions/validation.json").read_text())
    scored = [row for row in rows if not row["chose"]]
    assert 0 < len(scored) < len(rows) == record["texts"]["validation"]
    loss = sum(row["loss"] for row in scored) / len(scored)
    assert record["best"]["val/loss"] == pytest.approx(loss)
    opened = open_run(run_directory(config))
    scores = evaluate(opened, opened.own("validation")).scores["all"]
    assert scores["val/loss"].value == pytest.approx(loss, rel=1e-4)
    asked = opened.rows([opened.example({"text": "The [MASK] is in the [MASK]."})])
    assert [len(some) for some in asked[0]["candidates"]] == [20, 20]
    assert not opened.network.get_output_embeddings()._forward_pre_hooks


def test_data_without_texts_are_refused(composed, tmp_path):
    places = (f"paths.runs={tmp_path}", f"paths.cache={tmp_path}", "logger.graph=false")
    config = composed("+experiment=masked_words", "data=motifs", *places)
    with pytest.raises(ValueError, match=r"^data=motifs has no texts whose words could be hidden"):
        train(checked(config))


@pytest.fixture
def begun(tiny):
    """A checked config of a tiny training that begins with a pretraining on its own texts."""
    return lambda *overrides: checked(tiny(*SELF, "study=mine", *overrides))


def test_answering_begins_with_the_body_of_the_pretraining_and_a_head_of_its_own(begun):
    config = begun("trainer.max_steps=0")
    train(config)
    first, own = run_directory(config_of_pretraining(config)), run_directory(config)
    before = load_network_weights(first / "checkpoints/best.ckpt")
    after = load_network_weights(own / "checkpoints/best.ckpt")
    body = {name for name in after if name.startswith("bert.")}
    assert after.keys() - body == {"qa_outputs.weight", "qa_outputs.bias"}
    assert body == {name for name in before if name.startswith("bert.")}
    assert all(torch.equal(after[name], before[name]) for name in body)
    # The decoder shares its matrix with the embeddings, and is no tensor of the new network.
    assert torch.equal(
        before["cls.predictions.decoder.weight"], after["bert.embeddings.word_embeddings.weight"]
    )
    # Whatever a network begins with, its head is the one that the seed draws.
    random = set_up(begun("model.pretraining=null", "model.pretraining_steps=null")).task.network
    assert torch.equal(after["qa_outputs.weight"], random.state_dict()["qa_outputs.weight"])
    record = read_record(own)
    assert record["pretraining"] == {
        "run": run_name(first),
        "id": read_record(first)["id"],
        "checkpoint": "best",
        "step": read_record(first)["best_step"],
    }
    assert own.name.startswith("bert_tiny-self-builtin-s1-")


@pytest.mark.parametrize("strategy", ["lora", "bottleneck"])
def test_what_a_strategy_adds_is_added_to_the_pretrained_body(begun, strategy):
    config = begun("trainer.max_steps=0", f"finetuning={strategy}", "finetuning.layers=[0]")
    small = "rank" if strategy == "lora" else "width"
    config["finetuning"][small] = 4
    train(config)
    first = run_directory(config_of_pretraining(config))
    before = load_network_weights(first / "checkpoints/best.ckpt")
    after = load_network_weights(run_directory(config) / "checkpoints/best.ckpt")
    here = {name.replace(".base_layer.", "."): tensor for name, tensor in after.items()}
    body = [name for name in before if name.startswith("bert.")]
    assert body and all(torch.equal(here[name], before[name]) for name in body)
    assert len(after) > len(body) + 2


def test_both_arms_of_a_seed_begin_alike(begun):
    alone = begun("model.pretraining=null", "model.pretraining_steps=null")
    random = set_up(alone).task.network.state_dict()
    masked = set_up(config_of_pretraining(begun())).task.network.state_dict()
    body = [name for name in random if name.startswith("bert.")]
    assert body and all(torch.equal(random[name], masked[name]) for name in body)


def test_stops_in_both_trainings_change_nothing(begun, tmp_path, monkeypatch):
    monkeypatch.setenv("QA_RESEARCH_ALLOW", "tests")
    monkeypatch.setattr(pretraining, "MODULE", SIGNALLING)
    whole, config = (
        begun(f"paths.runs={tmp_path / name}", f"model._target_={OTHER}")
        for name in ("whole", "stopped")
    )
    train(whole)
    for stopped in (SignallingMasked, Signalling):
        stopped.follow(Plan("training", 2, signal.SIGINT))
        with pytest.raises(Stopped):
            train(config)
        stopped.follow()
        # Where the first training was stopped, the other one has not begun.
        assert run_directory(config).exists() == (stopped is Signalling)
    train(config)
    for part in (config_of_pretraining, dict):
        runs = [run_directory(part(one)) for one in (whole, config)]
        assert result_of(runs[0]) == result_of(runs[1])
        assert len(read_record(runs[1])["resumed"]) == 1


def test_a_finished_run_is_told_without_the_pretraining_that_it_began_with(begun, capsys):
    config = begun("trainer.max_steps=1")
    score = train(config)
    remove(run_directory(config_of_pretraining(config)))
    assert train(config) == score
    assert not run_directory(config_of_pretraining(config)).exists()


def test_a_pretraining_on_other_texts_is_not_begun_with(begun):
    config = begun("trainer.max_steps=1")
    first = run_directory(config_of_pretraining(config))
    train(config_of_pretraining(config))
    record = read_record(first)
    record["fingerprints"]["train"] = "0" * 64
    (first / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="had another training texts than there is now; remove it"):
        train(config)


def test_pairs_begin_with_their_own_sentences_too(composed, tmp_path, cache):
    sizes = [word for word in TINY if not word.startswith("data.") and "interval" not in word]
    data = ("data.train_examples=40", "data.validation_examples=60", "data.batch_size=8")
    places = (f"paths.runs={tmp_path}", f"paths.cache={cache}", "capture=none")
    words = ("+experiment=paraphrase", "model=pairs_bert_tiny", *sizes, *data, *SELF, *places)
    config = checked(composed(*words, "trainer.max_steps=1", "logger.graph=false"))
    train(config)
    first = read_record(run_directory(config_of_pretraining(config)))
    assert first["status"] == "finished" and first["texts"]["train"] == 80
    assert read_record(run_directory(config))["pretraining"]["id"] == first["id"]


def test_a_pretraining_of_another_process_is_waited_for(begun, caplog):
    config = begun("trainer.max_steps=0")
    first = run_directory(config_of_pretraining(config))
    waiting = f"Waiting for another process, which trains {first}"
    is_held, has_ended = Event(), Event()

    def hold():
        with lock(first):
            is_held.set()
            while waiting not in caplog.messages and not has_ended.wait(0.1):
                pass

    other = Thread(target=hold)
    other.start()
    assert is_held.wait(30)
    try:
        with caplog.at_level(logging.INFO, "qa_research"):
            train(config)
    finally:
        has_ended.set()
        other.join()
    assert waiting in caplog.messages
    assert read_record(first)["status"] == "finished"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("model.pretraining=null",),
            r"model.pretraining_steps=4 is of a pretraining on the task's",
        ),
        (("model.reinit_top=1", f"model.weights={PACKAGED}"), "exclude each other: leave out one"),
        (("train.resume=must",), "train.resume=must, but there is no run"),
        (("finetuning=gradual",), r"finetuning.every_n_steps=50 would thaw"),
        (("trainer.devices=2",), "trainer.devices=2 does not go with a training that begins with"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_trained(
    begun, tmp_path, words, sentence
):
    with pytest.raises(ValueError, match=sentence):
        train(begun(*words))
    assert not (tmp_path / "runs").exists()
