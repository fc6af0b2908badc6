"""Trainings with a strategy: exactly what it says trains, and a stop anywhere changes nothing."""

import logging
import re
import signal

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, BertForQuestionAnswering

from qa_research.launch.compose import checked
from qa_research.runs.directory import config_hash, read_record
from qa_research.runs.open import open_run
from qa_research.signals import Stopped
from tests.tiny_run import train
from tests.training.noting import Noting
from tests.training.reading import directory_of, recording_of, result_of
from tests.training.signalling import Plan

STEPS = 7
SETTINGS = (
    "capture=none",
    "model._target_=tests.training.noting.Noting",
    "model.dropout=0.3",
    "model.warmup_fraction=0",
    f"trainer.max_steps={STEPS}",
    "train.stop_at=null",
)
# Thaws after steps 2, 4 and 6.
GRADUAL = ("finetuning=gradual", "finetuning.every_n_steps=2")
ADAPTED = {
    "lora": ("finetuning=lora", "finetuning.rank=2"),
    "bottleneck": ("finetuning=bottleneck", "finetuning.width=4"),
    "pals": ("finetuning=pals", "finetuning.width=8", "finetuning.heads=2"),
}
STRATEGIES = {
    "frozen": ("finetuning=frozen",),
    "top_k": ("finetuning=top_k",),
    "gradual": GRADUAL,
    "discriminative": ("finetuning=discriminative",),
    **ADAPTED,
}
SHOWN = {
    "frozen": "Frozen",
    "top_k": "TopK, layers=1",
    "gradual": "Gradual, every_n_steps=2",
    "discriminative": "Discriminative, decay=0.8",
    "lora": "Lora, rank=2, .*, lr_factor=5.0",
    "bottleneck": "Bottleneck, width=4, layers=None, lr_factor=5.0",
    "pals": "Pals, width=8, heads=2, layers=None, lr_factor=5.0",
}
# How the names of what is added begin.
ADDED = {"lora": "lora_", "bottleneck": "adapter", "pals": "pal"}
PARTS = {
    "head": ("qa_outputs.",),
    "layer 1": ("bert.encoder.layer.1.",),
    "layer 0": ("bert.encoder.layer.0.",),
    "embeddings": ("bert.embeddings.",),
}


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Noting.follow()
    Noting.forget()


def names_in(parts, names):
    """Those of the names that belong to the first so many parts, from the head down."""
    prefixes = tuple(prefix for part in list(PARTS)[:parts] for prefix in PARTS[part])
    return {name for name in names if name.startswith(prefixes)}


def noted_of(config):
    """What every step of a whole training started from."""
    Noting.forget()
    train(config)
    return Noting.noted


@pytest.mark.parametrize(
    ("strategy", "trained"),
    [
        ("frozen", [1, 1, 1, 1, 1, 1, 1]),
        ("top_k", [2, 2, 2, 2, 2, 2, 2]),
        ("gradual", [1, 1, 2, 2, 3, 3, 4]),
        ("discriminative", [4, 4, 4, 4, 4, 4, 4]),
    ],
)
def test_exactly_the_intended_parameters_change(tiny, strategy, trained):
    # A rate at which the smallest update is still seen in float32.
    noted = noted_of(tiny(*SETTINGS, *STRATEGIES[strategy], "model.decay=constant"))
    assert sorted(noted) == list(range(STEPS))
    for step in range(STEPS - 1):
        before, after = noted[step], noted[step + 1]
        intended = names_in(trained[step], before["weights"])
        changed = {n for n, w in before["weights"].items() if after["weights"][n] != w}
        assert before["trains"] == intended, step
        assert changed == intended, step
        # No moments of what does not train; those of what does count from its own first step.
        assert after["state"].keys() == intended, step
        for name, updates in after["updates"].items():
            began = next(s for s in range(STEPS) if name in noted[s]["trains"])
            assert updates == step + 1 - began, (step, name)


@pytest.mark.parametrize("strategy", ADAPTED)
def test_exactly_the_adapters_and_the_head_change(tiny, strategy):
    noted = noted_of(tiny(*SETTINGS, *ADAPTED[strategy], "model.decay=constant"))
    first, last = noted[0], noted[STEPS - 1]
    intended = {
        name
        for name in first["weights"]
        if name.startswith("qa_outputs.") or f".{ADDED[strategy]}" in name
    }
    assert len(intended) > 2
    for step, now in noted.items():
        assert now["trains"] == intended, step
        changed = {n for n, w in now["weights"].items() if first["weights"][n] != w}
        assert changed <= intended, step
        assert now["state"].keys() == (intended if step else set())
    # The first gradients of A in LoRA are 0, as those of all but the way back in a PAL.
    changed = {n for n, w in last["weights"].items() if first["weights"][n] != w}
    assert changed == intended


def test_adapters_have_a_rate_of_their_own(tiny):
    noted = noted_of(tiny(*SETTINGS, *ADAPTED["bottleneck"], "finetuning.lr_factor=3"))
    for step, now in noted.items():
        peak = 1e-3 * (1 - step / STEPS)
        # The head, the adapters, and what does not train; matrices and vectors of each.
        expected = [peak, peak, 3 * peak, 3 * peak, *[0.0] * 6]
        assert [g["lr"] for g in now["groups"]] == pytest.approx(expected, rel=1e-12), step


def test_rates_are_those_of_the_strategy_at_every_step(tiny):
    noted = noted_of(tiny(*SETTINGS, "finetuning=discriminative", "finetuning.decay=0.5"))
    for step, now in noted.items():
        peak = 1e-3 * (1 - step / STEPS)
        rates = [group["lr"] for group in now["groups"]]
        # A group of matrices and one of vectors for each part, the head first.
        expected = [peak * factor for factor in (1, 0.5, 0.25, 0.125) for _ in range(2)]
        assert rates == pytest.approx(expected, rel=1e-12), step
    decays = [group["weight_decay"] for group in noted[0]["groups"]]
    assert decays == [0.01, 0.0] * 4


@pytest.fixture(scope="module")
def unbroken():
    """What every step started from, and the result, of trainings that were not stopped."""
    return {}


@pytest.mark.parametrize(
    ("strategy", "stop"),
    # One step before, at and after each thaw of `gradual`.
    [
        *(("gradual", stop) for stop in (1, 2, 3)),
        *(pytest.param("gradual", stop, marks=pytest.mark.slow) for stop in (4, 5, 6)),
        *(
            pytest.param(strategy, 3, marks=pytest.mark.slow)
            for strategy in ("frozen", "top_k", "discriminative", "bottleneck", "pals")
        ),
        ("lora", 3),
    ],
)
def test_a_stop_changes_nothing(tiny, tmp_path, unbroken, strategy, stop):
    settings = (*SETTINGS, *STRATEGIES[strategy])
    if strategy not in unbroken:
        whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
        unbroken[strategy] = noted_of(whole), result_of(directory_of(whole))
    noted, result = unbroken[strategy]
    config = tiny(*settings)
    Noting.follow(Plan("training", stop, signal.SIGINT))
    with pytest.raises(Stopped):
        train(config)
    Noting.follow()
    assert read_record(directory_of(config))["steps"] == stop
    resumed = noted_of(config)
    assert sorted(resumed) == list(range(stop, STEPS))
    for step, now in resumed.items():
        for key, value in now.items():
            assert value == noted[step][key], (step, key)
    assert result_of(directory_of(config)) == result


def test_a_stop_within_an_accumulation_changes_nothing(tiny, tmp_path):
    settings = (
        *(*SETTINGS, *GRADUAL, "trainer.max_steps=-1", "trainer.max_epochs=4"),
        "trainer.accumulate_grad_batches=3",
    )
    whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
    noted_of(whole)
    config = tiny(*settings)
    # In the middle of the step after which the first layer thaws.
    Noting.follow(Plan("training", 5, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Noting.follow()
    train(config)
    assert result_of(directory_of(config)) == result_of(directory_of(whole))


def test_a_recorder_of_gradients_sees_what_does_not_train_yet(tiny):
    settings = [s for s in SETTINGS if s != "capture=none"]
    config = tiny(*settings, *GRADUAL, "capture=everything", "capture.every_n_steps=1")
    train(config)
    dynamics = recording_of(directory_of(config))["dynamics"]
    gradients = dynamics["gradient_norm"].sel(step=1)
    trained = {str(name) for name in gradients.parameter.values[(gradients > 0).values]}
    assert trained == names_in(1, map(str, gradients.parameter.values))


def test_the_run_says_how_many_parameters_train(tiny, caplog):
    config = tiny(*SETTINGS, *GRADUAL)
    with caplog.at_level(logging.INFO, "qa_research"):
        train(config)
    run = directory_of(config)
    facts = read_record(run)["finetuning"]
    assert [stage["step"] for stage in facts["trained"]] == [0, 2, 4, 6]
    # 16 units to 2 scores, and a bias for each.
    assert facts["trained"][0]["parameters"] == 34
    assert facts["trained"][-1]["parameters"] == facts["parameters"]
    said = caplog.messages
    assert f"Finetuning trains 34 of {facts['parameters']:,} parameters: head" in said
    # At the start, and when it happens.
    assert sum(line.endswith("parameters after step 2: head, layer 1") for line in said) == 2


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_with_a_strategy_is_asked_as_any_other(tiny, verb, tmp_path, strategy):
    settings = [s for s in SETTINGS if "_target_" not in s]
    config = tiny(*settings, *STRATEGIES[strategy])
    train(config)
    run = str(directory_of(config))
    asked = ("ask", run, "--question", "Who?", "--context", "Ms Lund teaches chess.")
    for words in (asked, ("evaluate", run), ("forward", *asked[1:])):
        code, _, said = verb(*words)
        assert code == 0, said
    code, _, said = verb("export", run, str(tmp_path / "exported"))
    if strategy in ("bottleneck", "pals"):
        assert code == 2 and f"finetuning={strategy} added modules" in said
        assert not (tmp_path / "exported").exists()
    else:
        assert code == 0, said
    code, shown, said = verb("runs", "show", run)
    assert code == 0, said
    assert re.search(rf"^finetuning +{SHOWN[strategy]}$", shown, re.MULTILINE)


def test_lora_is_exported_as_a_plain_network_with_equal_logits(tiny, tmp_path):
    config = tiny(*SETTINGS, *ADAPTED["lora"], "model.lr=0.05")
    train(config)
    opened = open_run(directory_of(config), "last")
    opened.export(tmp_path / "exported")
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "exported")
    inputs = {"input_ids": torch.arange(5, 45).view(2, 20)}
    with torch.no_grad():
        ours, theirs = opened.network(**inputs), plain.eval()(**inputs)
    for key in ("start_logits", "end_logits"):
        torch.testing.assert_close(theirs[key], ours[key], rtol=0, atol=1e-5)
    # The head has learned, and is there; and so have the layers.
    initial = BertForQuestionAnswering(plain.config).state_dict()
    assert plain.state_dict().keys() == initial.keys()
    trained = opened.network.state_dict()
    assert torch.equal(plain.qa_outputs.weight, trained["qa_outputs.weight"])
    query = "bert.encoder.layer.0.attention.self.query"
    change = plain.state_dict()[f"{query}.weight"] - trained[f"{query}.base_layer.weight"]
    assert torch.linalg.matrix_rank(change) == 2


def test_a_run_without_the_file_of_its_adapters_is_refused(tiny):
    config = tiny(*SETTINGS, *ADAPTED["lora"])
    train(config)
    run = directory_of(config)
    (run / "model/adapters.json").unlink()
    with pytest.raises(ValueError, match=r"adapters\.json is missing"):
        open_run(run)
    (run / "model/model.sha256").unlink()
    with pytest.raises(ValueError, match=r"does not fit the network of .*base_layer|query"):
        open_run(run)


def test_training_everything_is_the_run_it_was_before_there_were_strategies(tiny):
    config = checked(tiny())
    assert config["finetuning"] is None
    earlier = {key: value for key, value in config.items() if key != "finetuning"}
    assert config_hash(earlier) == config_hash(config)
    hashes = {config_hash(checked(tiny(*overrides))) for overrides in STRATEGIES.values()}
    assert len(hashes | {config_hash(config)}) == len(STRATEGIES) + 1


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("finetuning=top_k", "finetuning.layers=99"), "finetuning.layers=99 is more than the 2"),
        (
            ("finetuning=gradual",),
            "would thaw the embeddings after step 150, and this training has",
        ),
        ((*GRADUAL, "trainer.max_steps=6"), "has 6 steps; at most 1 is possible"),
        ((*GRADUAL, "trainer.max_steps=3"), "train for longer, or use finetuning=top_k"),
        ((*GRADUAL, "trainer.accumulate_grad_batches=4"), "and this training has 2 steps"),
        ((*GRADUAL, "+trainer.limit_train_batches=3"), "and this training has 3 steps"),
        ((*GRADUAL, "+trainer.limit_train_batches=0.5"), "and this training has 3 steps"),
        (
            ("finetuning=lora", "finetuning.rank=17"),
            "finetuning.rank=17 is more than 16, the width",
        ),
        (("finetuning=lora", "finetuning.targets=[qury]"), "finetuning.targets has qury, and a"),
        (("finetuning=lora", "finetuning.layers=[2]"), "finetuning.layers has 2; this network has"),
        (("finetuning=bottleneck",), "finetuning.width=48 is more than the 16 units"),
        (("finetuning=pals", "finetuning.width=9"), "finetuning.width=9 must be a multiple of"),
        (
            ("finetuning=frozen", "trainer.devices=2"),
            "trainer.devices=2 does not go with a strategy",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_before_a_run_exists(tiny, overrides, sentence):
    config = tiny(*overrides)
    with pytest.raises(ValueError) as refused:
        train(config)
    assert sentence in str(refused.value)
    assert not directory_of(config).exists()


@pytest.mark.parametrize(
    "override",
    ["finetuning.decay=0", "finetuning.decay=1.5", "finetuning.decay=x", "finetuning.decay=null"],
)
def test_a_decay_out_of_range_is_refused(tiny, override):
    with pytest.raises(ValueError, match=r"^finetuning\.decay must be "):
        checked(tiny("finetuning=discriminative", override))


@pytest.mark.parametrize(
    ("strategy", "override", "sentence"),
    [
        ("lora", "rank=0", r"finetuning\.rank must be at least 1"),
        ("lora", "alpha=0", r"finetuning\.alpha must be "),
        ("lora", "targets=[]", r"finetuning\.targets must "),
        ("lora", "targets=query", r"finetuning\.targets must be "),
        ("bottleneck", "width=0", r"finetuning\.width must be at least 1"),
        ("bottleneck", "layers=[]", r"finetuning\.layers must "),
        ("pals", "heads=0", r"finetuning\.heads must be at least 1"),
        ("pals", "lr_factor=-1", r"finetuning\.lr_factor must be "),
    ],
)
def test_settings_out_of_range_are_refused(tiny, strategy, override, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        checked(tiny(f"finetuning={strategy}", f"finetuning.{override}"))


def test_moments_of_what_no_longer_trains_are_dropped():
    """No strategy here freezes again, but one that did would leave no stale moments."""
    from transformers import BertConfig, BertForQuestionAnswering

    from qa_research.training.finetuning.plan import plan_of
    from qa_research.training.finetuning.strategies import Frozen
    from qa_research.training.finetuning.thawing import Thawing

    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    network = BertForQuestionAnswering(BertConfig(vocab_size=20, num_hidden_layers=1, **sizes))
    optimizer = torch.optim.AdamW(network.parameters())
    sum(p.sum() for p in network.parameters()).backward()
    optimizer.step()

    class OfTrainer:
        global_step = 0
        optimizers = (optimizer,)

    Thawing(plan_of(Frozen(), network)).on_train_batch_start(OfTrainer(), None, None, 0)
    head = {network.qa_outputs.weight, network.qa_outputs.bias}
    assert set(optimizer.state) == head
    assert {p for p in network.parameters() if p.grad is not None} == head
