"""Every architecture and every experiment trains."""

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModel

from qa_research.model.weights import PACKAGED
from qa_research.runs.checkpoints import load_network_weights
from qa_research.runs.directory import read_record
from qa_research.runs.open import open_run
from qa_research.tasks.answering.squad import squad_json
from tests.tiny_run import train
from tests.training.reading import directory_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def squad_files(questions, tmp_path) -> list[str]:
    """Overrides that train on eight answerable questions of a file."""
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    return [
        "data=squad_file",
        f"data.train_path={path}",
        f"data.validation_path={path}",
        "data.train_questions=8",
        "data.validation_questions=8",
    ]


@pytest.mark.parametrize("model_type", ["distilbert", "roberta", "electra"])
def test_other_architectures_train_from_a_directory(
    composed, squad_files, tokenizer, tmp_path, cache, model_type
):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"vocab_size": len(tokenizer), "max_position_embeddings": 130}
    config = AutoConfig.for_model(model_type, **sizes)
    AutoModel.from_config(config).save_pretrained(tmp_path / "weights")
    tokenizer.save_pretrained(tmp_path / "weights")
    config = composed(
        *("model=as_weights", f"model.weights={tmp_path / 'weights'}", *squad_files),
        *("data.max_tokens=64", "data.stride_tokens=16", "trainer.max_epochs=1"),
        *("trainer.precision=32-true", "train.progress=none", "train.threads=1"),
        *(f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}"),
    )
    train(config)
    run = open_run(directory_of(config))
    assert run.network.config.model_type == model_type
    assert run.ask("Who teaches chess?", "Ms Lund teaches chess.").text


@pytest.mark.slow
def test_a_compiled_network_trains_and_is_saved_under_the_plain_names(tiny):
    config = tiny("model.compile=true", "trainer.max_steps=2")
    train(config)
    names = load_network_weights(directory_of(config) / "checkpoints/last.ckpt")
    assert "qa_outputs.weight" in names and not any("_orig_mod" in name for name in names)


SEQUENCES = ("data.made_train=64", "data.made_validation=20", "capture=none")
# Solved, and not trained.
SOLVED = ("sequence_linear", "sequence_kmer")
EXPERIMENTS = {
    "nopretrain": (),
    "pretrained": (f"model.weights={PACKAGED}",),
    "overfit": ("data.train_questions=8", "data.batch_size=8", "trainer.max_epochs=1"),
    "smoke": (),
    "demo": ("trainer.val_check_interval=2",),
    "arms": (f"model.weights={PACKAGED}",),
    "moment": (f"model.weights={PACKAGED}", "capture.questions=4"),
    "unit_287": (f"model.weights={PACKAGED}",),
    "paraphrase": ("data.train_examples=64", "data.validation_examples=60"),
    "masked_words": ("data.train_questions=64", "data.validation_questions=16"),
    "paraphrase_mrpc": ("data.dataset={mrpc}", "data.max_tokens=64", "trainer=cpu"),
    "squad_nopretrain": ("model.tokenizer=null",),
    **{f"sequence_{name}": SEQUENCES for name in ("transformer", "universal", "cnn", "rnn")},
    **{f"sequence_{name}": SEQUENCES for name in ("lstm", "lecture_linear", "linear", "kmer")},
    "squad_pretrained": ("model=minilm", f"model.weights={PACKAGED}"),
}


def write_mrpc(directory: Path) -> None:
    """The files of a data set of pairs, in the hub's layout."""
    directory.mkdir()
    for split in ("train", "validation"):
        rows = [
            {"sentence1": f"It is {i}.", "sentence2": f"{i} it is.", "label": i % 2, "idx": i}
            for i in range(30)
        ]
        (directory / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize(
    "experiment", sorted(path.stem for path in (ROOT / "conf/experiment").iterdir())
)
def test_every_experiment_runs_two_batches(composed, squad_files, tmp_path, cache, experiment):
    write_mrpc(tmp_path / "mrpc")
    own = [word.format(mrpc=tmp_path / "mrpc") for word in EXPERIMENTS[experiment]]
    overrides = [f"+experiment={experiment}", *own]
    if experiment.startswith("squad"):
        overrides += [*squad_files, "trainer=cpu"]
    if experiment in ("arms", "demo", "nopretrain", "pretrained", "smoke", "moment", "unit_287"):
        overrides += ["data.train_questions=64", "data.validation_questions=16"]
    if experiment.startswith("paraphrase"):
        overrides += ["model.weights=random", "model.tokenizer=null"]
    if "nopretrain" in experiment or experiment.startswith("paraphrase"):
        overrides += ["model.hidden_size=16", "model.intermediate_size=32"]
        overrides += ["model.num_attention_heads=2", "model.num_hidden_layers=2"]
    if experiment not in SOLVED:
        overrides += ["trainer.max_steps=2"]
    overrides += ["trainer.precision=32-true", "train.progress=none"]
    overrides += [f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}"]
    config = composed(*overrides)
    train(config)
    assert (read_record(directory_of(config))["steps"] >= 1) == (experiment not in SOLVED)
