"""Tiny question-answering models in the layout of the hub, made here and not fetched."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AlbertConfig,
    AutoModelForQuestionAnswering,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
    RobertaTokenizer,
    XLMRobertaConfig,
)

_BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_SIZES = _BERT | {"intermediate_size": 32, "max_position_embeddings": 128}
CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "bert": (BertConfig, _SIZES),
    "roberta": (RobertaConfig, _SIZES | {"max_position_embeddings": 130}),
    "xlm-roberta": (XLMRobertaConfig, _SIZES | {"max_position_embeddings": 130}),
    "distilbert": (
        DistilBertConfig,
        {"dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 128},
    ),
    "albert": (AlbertConfig, _SIZES | {"embedding_size": 8}),
    "electra": (ElectraConfig, _SIZES | {"embedding_size": 8}),
    "deberta-v2": (DebertaV2Config, _SIZES | {"relative_attention": True}),
    "modernbert": (ModernBertConfig, _SIZES | {"pad_token_id": 0}),
}
# Whose tokenizers are byte-level, with <s> and </s>.
BYTE_LEVEL = ("roberta", "xlm-roberta")


def byte_level_tokenizer(texts: Sequence[str]) -> Any:
    """A tokenizer of RoBERTa's kind, trained on these texts."""
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(texts, vocab_size=400, special_tokens=special, show_progress=False)
    saved = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in saved["merges"]]
    return RobertaTokenizer(vocab=saved["vocab"], merges=merges, model_max_length=512)


def network_of(kind: str, vocab_size: int, seed: int = 1) -> Any:
    """A random network of a type, as the hub calls it."""
    make, sizes = CONFIGS[kind]
    torch.manual_seed(seed)
    return AutoModelForQuestionAnswering.from_config(make(vocab_size=vocab_size, **sizes)).eval()


def write_model(directory: Path, tokenizer: Any, kind: str = "bert", seed: int = 1) -> Path:
    """A model's directory as `save_pretrained` leaves it."""
    network_of(kind, len(tokenizer), seed).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def write_run_qa(directory: Path, tokenizer: Any, steps: Sequence[int], best: int | None) -> Path:
    """The output folder of a run_qa training, with a checkpoint at each of the `steps`."""
    for number, step in enumerate((*steps, steps[-1])):
        is_own = number == len(steps)
        place = directory if is_own else directory / f"checkpoint-{step}"
        write_model(place, tokenizer, seed=min(number, len(steps) - 1))
        # As after a call of run_qa: the tokenizer keeps the windows that it cut.
        path = place / "tokenizer.json"
        saved = json.loads(path.read_text())
        saved["truncation"] = {
            "direction": "Right",
            "max_length": 48,
            "strategy": "OnlySecond",
            "stride": 16,
        }
        path.write_text(json.dumps(saved))
        state = {"global_step": step, "log_history": [{"step": step, "eval_f1": 1.0}]}
        if best is not None:
            # Where the training was, which is not where it lies now.
            state["best_model_checkpoint"] = f"/home/someone/out/checkpoint-{best}"
        (place / "trainer_state.json").write_text(json.dumps(state))
        torch.save({"learning_rate": 3e-5}, place / "training_args.bin")
    return directory


def put_in_hub_cache(home: Path, name: str, make: Any) -> Path:
    """Let `make` write a model into the hub's cache under `home`, as a download leaves it."""
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    place: Path = make(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return place
