"""The story of a run, top to bottom: config, questions, tokenizer, network, training, result."""

import logging
import os
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from omegaconf import DictConfig

from qa_research import STARTED
from qa_research.console import log_to_file
from qa_research.data.datamodule import QuestionData
from qa_research.model.bert import count_parameters, longest_window
from qa_research.model.question_answering import QuestionAnswering
from qa_research.run.checkpoints import Checkpoints, DurableCheckpointIO
from qa_research.run.config import build, checked
from qa_research.run.directory import (
    check_writable,
    create,
    read_record,
    run_directory,
    set_aside,
    write_record,
)
from qa_research.run.progress import TrainingProgress
from qa_research.run.record import new_record, write_model
from qa_research.run.result import show_result

log = logging.getLogger(__name__)
EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*(LeafSpec|pytree).*",
)


def train(config: DictConfig) -> float:
    """Train what a composed config asks for; the best monitored score (by default F1 in percent).

    A finished run of the same config is reported and not repeated.

    Raises:
        ValueError, OSError: the request cannot be carried out; nothing has been written then.
    """
    plain = checked(config)
    directory = run_directory(plain)
    first = not _is_child_process()
    record = read_record(directory)
    if first and record and record["status"] == "finished" and plain["train"]["resume"] == "auto":
        log.info("This run is finished; train.resume=never trains it again.")
        show_result(directory, record)
        return float(record["best"][plain["checkpoint"]["monitor"]])
    if not first:
        logging.getLogger("qa_research").setLevel(logging.WARNING)
    check_writable(directory)
    data, module, report = _prepare(plain)
    if first:
        if directory.exists():
            kept = set_aside(directory)
            why = "as asked" if record and record["status"] == "finished" else "it never finished"
            log.info("An earlier run of this config is kept as %s (%s)", kept.name, why)
        record = new_record(plain, data)
        create(directory, plain, record)
        log_to_file(directory / "train.log")
        write_model(directory, module.network, module.tokenizer)
    log.info("Run: %s", directory)
    _describe(data, module, report)
    return _fit(plain, directory, record or {}, data, module)


def _prepare(plain: dict[str, Any]) -> tuple[QuestionData, QuestionAnswering, tuple[str, ...]]:
    """Everything that can fail before a directory is made."""
    _check_accelerator(plain["trainer"]["accelerator"])
    if plain["train"]["threads"] is not None:
        torch.set_num_threads(plain["train"]["threads"])
    cache = Path(plain["paths"]["cache"]).expanduser()
    check_writable(cache)
    data: QuestionData = build(plain["data"])
    module: QuestionAnswering = build(plain["model"])
    answering = build(plain["answer"])
    data.load()
    tokenizer = module.read_with(data.train, cache)
    report = module.build(len(tokenizer), plain["seed"], answering.resolved(data.has_unanswerable))
    limit = longest_window(module.network.config)
    if data.max_tokens > limit:
        raise ValueError(
            f"data.max_tokens={data.max_tokens} is more than this model can read at once ({limit})"
        )
    data.prepare(tokenizer, cache, plain["seed"])
    return data, module, report


def _fit(
    plain: dict[str, Any],
    directory: Path,
    record: dict[str, Any],
    data: QuestionData,
    module: QuestionAnswering,
) -> float:
    checkpoints: Checkpoints = build(plain["checkpoint"], directory=directory / "checkpoints")
    progress = TrainingProgress(plain["train"]["progress"])
    # Its hints on hardware and products; warnings and errors still come through.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trainer: Trainer = build(
        plain["trainer"],
        callbacks=[progress, checkpoints, *_early_stopping(plain["train"]["stop_at_exact_match"])],
        logger=[
            TensorBoardLogger(directory, name="tensorboard", version=""),
            CSVLogger(directory, name="", version=""),
        ],
        plugins=[DurableCheckpointIO()],
        default_root_dir=directory,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # The global generators belong to dropout alone.
    torch.manual_seed(plain["seed"])
    log.info("First step begins %.1f s after the start", time.perf_counter() - STARTED)
    try:
        _quietly(trainer.fit, module, data)
        if trainer.global_step - (checkpoints.validated_step or 0) > trainer.global_step / 100:
            _quietly(trainer.validate, module, data)
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
        record |= {"status": "interrupted" if stopped else "failed", "error": str(error)}
        if trainer.is_global_zero:
            write_record(directory, record)
        raise
    if not trainer.is_global_zero:
        return float(checkpoints.best[checkpoints.monitor])
    record |= {
        "status": "finished",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps": trainer.global_step,
        "train_samples": progress.train_samples,
        "train_s": round(progress.train_s, 1),
        "validation_s": round(progress.validation_s, 1),
        "best": checkpoints.best,
        "best_step": checkpoints.best_step,
    }
    write_record(directory, record)
    show_result(directory, record)
    return float(checkpoints.best[checkpoints.monitor])


def _check_accelerator(wanted: str) -> None:
    """Lightning finds out only once everything else is ready."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, any(there.values()) if wanted == "gpu" else True):
        raise ValueError(
            f"trainer.accelerator={wanted} is not there (no CUDA or MPS device); trainer=cpu works here"
        )


def _early_stopping(threshold: float | None) -> list[EarlyStopping]:
    """Ends a training that has nothing left to learn; never one that merely stands still."""
    if threshold is None:
        return []
    # Lightning stops above its threshold (in float32); ours is reached when it is met.
    met = threshold - 1e-4
    return [
        EarlyStopping("val/exact_match", mode="max", stopping_threshold=met, patience=sys.maxsize)
    ]


def _describe(data: QuestionData, module: QuestionAnswering, report: tuple[str, ...]) -> None:
    for line in report:
        log.info("%s", line)
    lengths = data.train_windows.lengths
    log.info(
        "Data: %s, %s training and %s validation questions in %s and %s windows of %.0f tokens on average",
        data.name,
        *(f"{len(rows):,}" for rows in (data.train, data.validation)),
        *(f"{len(windows):,}" for windows in (data.train_windows, data.validation_windows)),
        lengths.mean(),
    )
    log.info(
        "Model: %s, %.1f million parameters, %d threads",
        module.name,
        count_parameters(module.network) / 1e6,
        torch.get_num_threads(),
    )
    if data.guessing:
        shown = ", ".join(f"{kind} {value:.1f}" for kind, value in data.guessing.items())
        log.info("Guessing among the candidates of the right kind earns exact match: %s", shown)


def _quietly(work: Any, module: QuestionAnswering, data: QuestionData) -> None:
    """Run Lightning without warnings of what is meant to be so."""
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        if work.__name__ == "validate":
            work(module, datamodule=data, verbose=False)
        else:
            work(module, datamodule=data)


def _is_child_process() -> bool:
    """Whether Lightning started this process beside the first one."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 or int(os.environ.get("NODE_RANK", "0")) > 0
