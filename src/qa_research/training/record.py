"""What is written down of a run: run.json, the ledger's row, and model/ from which it is read back."""

import json
import logging
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from qa_research.model.bert import describe_modules
from qa_research.signals import Stopped

if TYPE_CHECKING:
    from qa_research.training.setup import Loaded
    from qa_research.training.trainer import TrainerBundle

from qa_research.runs.machine import git_state, installed_versions, machine, now

log = logging.getLogger(__name__)


def new_record(loaded: "Loaded") -> dict[str, Any]:
    """The first content of run.json: identity, fingerprints, versions. No host or user names."""
    data, config = loaded.data, loaded.plain
    return {
        "id": uuid.uuid4().hex,
        "status": "running",
        "study": config["study"],
        "seed": config["seed"],
        "started": now(),
        "command": ["qa-research", "train", *sys.argv[1:]],
        "data": data.name,
        "fingerprints": loaded.fingerprints(),
        "questions": {"train": len(data.train), "validation": len(data.validation)},
        "unanswerable": data.has_unanswerable,
        "bad_rows": [row.id for row in data.bad_rows],
        "guessing": data.guessing,
        "versions": installed_versions(),
        "git": git_state(),
        "machine": machine(),
        "steps": 0,
    }


def add_result(record: dict[str, Any], machinery: "TrainerBundle") -> None:
    """Complete the record of a run that was trained to its end."""
    progress, checkpoints = machinery.progress, machinery.checkpoints
    record |= {
        "status": "finished",
        "finished": now(),
        "steps": machinery.trainer.global_step,
        "train_samples": progress.train_samples,
        "train_s": round(progress.train_s, 1),
        "validation_s": round(progress.validation_s, 1),
        "best": checkpoints.best,
        "best_step": checkpoints.best_step,
        "error": None,
    }
    if machinery.capture:
        record["capture"] = machinery.capture.cost()


def add_ending(
    record: dict[str, Any], error: BaseException, machinery: "TrainerBundle", first_step: int
) -> None:
    """Say why a run ended before its end, and after how many steps: for a stopped one, those saved."""
    saved = max(machinery.saving.saved_step, first_step)
    checkpoints, progress = machinery.checkpoints, machinery.progress
    record |= {"error": str(error) or type(error).__name__, "finished": now()}
    if checkpoints.best:
        record |= {"best": checkpoints.best, "best_step": checkpoints.best_step}
    if progress.train_s:
        record["train_s"] = round(progress.train_s, 1)
        record["validation_s"] = round(progress.validation_s, 1)
    if isinstance(error, Stopped):
        record |= {"status": "interrupted", "steps": saved}
        if saved:
            log.info("Stopped by %s after step %d, which is saved.", error, saved)
        else:
            log.info("Stopped by %s before the first step: there is nothing to save.", error)
    else:
        record |= {"status": "failed", "steps": max(saved, machinery.trainer.global_step)}
        record["saved_step"] = saved


def write_model(directory: Path, network: PreTrainedModel, tokenizer: Any) -> None:
    """model/ (Hugging Face's config and tokenizer) and architecture.json; no weights."""
    network.config.save_pretrained(directory / "model")
    tokenizer.save_pretrained(directory / "model")
    text = json.dumps(describe_modules(network), indent=1)
    (directory / "architecture.json").write_text(text, encoding="utf-8")
