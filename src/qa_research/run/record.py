"""What is written down of a run: run.json, the ledger's row, and model/ from which it is read back."""

import json
import logging
import os
import platform
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from transformers import PreTrainedModel

from qa_research.ledger.ledger import LEDGER, Ledger
from qa_research.model.bert import describe_modules
from qa_research.run.directory import read_record, write_record
from qa_research.run.stop import Stopped

if TYPE_CHECKING:
    from qa_research.run.loaded import Loaded
    from qa_research.run.trainer import Machinery

log = logging.getLogger(__name__)
PACKAGES = ("qa-research", "torch", "lightning", "transformers", "tokenizers", "datasets", "numpy")


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


def add_result(record: dict[str, Any], machinery: "Machinery") -> None:
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
    record: dict[str, Any], error: BaseException, machinery: "Machinery", first_step: int
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


def keep_record(directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write run.json, which is the truth, and the ledger's row, which is its index."""
    write_record(directory, record)
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.write_run(directory, record, config)
    except (OSError, ValueError) as error:
        log.warning(
            "The ledger does not know of this (%s); qa-research runs scan tells it later", error
        )


def enter_kept(directory: Path) -> None:
    """Tell the ledger where a run lies that was moved."""
    record, config = read_record(directory), directory / "config.yaml"
    if record and config.is_file():
        keep_record(directory, record, yaml.safe_load(config.read_text(encoding="utf-8")))


def forget_record(directory: Path, record: Mapping[str, Any]) -> None:
    """Take a run that never began out of the ledger."""
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.remove(record["id"])
    except (OSError, ValueError) as error:
        log.warning("The ledger still knows a run that is gone (%s); qa-research runs scan", error)


def ledger_path(directory: Path) -> Path:
    """`<paths.runs>/ledger.sqlite` of a run's directory."""
    return Path(os.path.abspath(directory)).parent.parent / LEDGER


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine() -> dict[str, Any]:
    """What of this machine decides how numbers are rounded. No names of it."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "gpu": gpu,
        "threads": torch.get_num_threads(),
    }


def git_state() -> dict[str, Any]:
    """The commit of the checkout this code runs from, and whether it was modified; None outside one."""
    state: dict[str, Any] = {"commit": None, "modified": None}
    place = Path(__file__).resolve().parent
    try:
        found = [
            subprocess.run(
                ["git", "-C", str(place), *words], capture_output=True, text=True, timeout=10
            )
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "."])
        ]
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return state
    if all(done.returncode == 0 for done in found):
        state = {"commit": found[0].stdout.strip(), "modified": bool(found[1].stdout.strip())}
    return state


def changed_versions(record: Mapping[str, Any]) -> str:
    """Which packages and settings of this machine are others than at a run's beginning."""
    then, today = record["versions"], installed_versions()
    changed = [f"{n} {then.get(n)} -> {today[n]}" for n in today if then.get(n) != today[n]]
    for key, value in machine().items():
        if record["machine"].get(key) != value:
            changed.append(f"{key} {record['machine'].get(key)} -> {value}")
    commit = git_state()["commit"]
    if record["git"]["commit"] != commit:
        changed.append(f"commit {record['git']['commit']} -> {commit}")
    return ", ".join(changed)


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
