"""What is written down when a run begins: run.json, and model/ from which it can be read back."""

import hashlib
import json
import platform
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from qa_research.data.datamodule import QuestionData
from qa_research.model.bert import describe_modules

PACKAGES = ("qa-research", "torch", "lightning", "transformers", "tokenizers", "datasets", "numpy")


def new_record(
    config: dict[str, Any], data: QuestionData, network: PreTrainedModel
) -> dict[str, Any]:
    """The first content of run.json: identity, fingerprints, versions. No host or user names."""
    return {
        "id": uuid.uuid4().hex,
        "status": "running",
        "study": config["study"],
        "seed": config["seed"],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["qa-research", "train", *sys.argv[1:]],
        "data": data.name,
        "fingerprints": data.fingerprints() | {"weights": weights_fingerprint(network)},
        "questions": {"train": len(data.train), "validation": len(data.validation)},
        "unanswerable": data.has_unanswerable,
        "bad_rows": [row.id for row in data.bad_rows],
        "guessing": data.guessing,
        "versions": installed_versions(),
        "machine": {"system": platform.system(), "processor": platform.machine()}
        | {"threads": torch.get_num_threads()},
    }


def weights_fingerprint(network: PreTrainedModel) -> str:
    """A sha256 of all tensors as they are before training."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def installed_versions() -> dict[str, str]:
    """Python and the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_model(directory: Path, network: PreTrainedModel, tokenizer: Any) -> None:
    """model/ (Hugging Face's config and tokenizer) and architecture.json; no weights."""
    network.config.save_pretrained(directory / "model")
    tokenizer.save_pretrained(directory / "model")
    text = json.dumps(describe_modules(network), indent=1)
    (directory / "architecture.json").write_text(text, encoding="utf-8")
