"""The story of a run, top to bottom: config, questions, tokenizer, network, training, result."""

import logging
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from qa_research import STARTED
from qa_research.console import close_log_file, log_to_file
from qa_research.data.datamodule import QuestionData
from qa_research.model.bert import count_parameters, longest_window
from qa_research.model.question_answering import QuestionAnswering
from qa_research.run.config import build, checked
from qa_research.run.directory import (
    check_writable,
    create,
    lock,
    read_record,
    run_directory,
    set_aside,
    write_record,
)
from qa_research.run.record import new_record, write_model
from qa_research.run.result import show_result
from qa_research.run.trainer import Machinery, check_trainer, make_machinery, quietly

log = logging.getLogger(__name__)


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
    machinery = make_machinery(plain, directory)
    _check_monitor(plain["checkpoint"]["monitor"], data)
    if not first:
        return _fit(plain["seed"], data, module, machinery)
    with lock(directory):
        kept = set_aside(directory) if directory.exists() else None
        record = new_record(plain, data, module.network)
        create(directory, plain, record)
        try:
            log_to_file(directory / "train.log")
            write_model(directory, module.network, module.tokenizer)
            if kept:
                log.info("An earlier run of this config is kept as %s", kept.name)
            log.info("Run: %s", directory)
            _describe(data, module, report)
            score = _fit(plain["seed"], data, module, machinery)
        except BaseException as error:
            _end_badly(directory, record, error, machinery.trainer.global_step, kept)
            raise
        _end_well(directory, record, machinery)
    return score


def _prepare(plain: dict[str, Any]) -> tuple[QuestionData, QuestionAnswering, tuple[str, ...]]:
    """Everything that can fail before a directory is made."""
    check_trainer(plain["trainer"])
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


def _fit(seed: int, data: QuestionData, module: QuestionAnswering, machinery: Machinery) -> float:
    trainer, checkpoints = machinery.trainer, machinery.checkpoints
    # The global generators belong to dropout alone.
    torch.manual_seed(seed)
    log.info("First step begins %.1f s after the program started", time.perf_counter() - STARTED)
    try:
        quietly(trainer.fit, module, datamodule=data)
    except SystemExit as leaving:
        # What Lightning makes of Ctrl-C.
        raise KeyboardInterrupt from leaving
    if trainer.global_step - (checkpoints.validated_step or 0) > trainer.global_step / 100:
        quietly(trainer.validate, module, datamodule=data, verbose=False)
    return float(checkpoints.best[checkpoints.monitor])


def _end_well(directory: Path, record: dict[str, Any], machinery: Machinery) -> None:
    """Complete run.json and say what came out."""
    progress, checkpoints = machinery.progress, machinery.checkpoints
    record |= {
        "status": "finished",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps": machinery.trainer.global_step,
        "train_samples": progress.train_samples,
        "train_s": round(progress.train_s, 1),
        "validation_s": round(progress.validation_s, 1),
        "best": checkpoints.best,
        "best_step": checkpoints.best_step,
    }
    write_record(directory, record)
    show_result(directory, record)


def _end_badly(
    directory: Path, record: dict[str, Any], error: BaseException, steps: int, kept: Path | None
) -> None:
    """Write down why a run ended; where nothing was trained, leave all as it was before."""
    if steps == 0:
        close_log_file()
        shutil.rmtree(directory)
        if kept:
            kept.rename(directory)
        return
    stopped = isinstance(error, KeyboardInterrupt)
    ending = {"status": "interrupted" if stopped else "failed", "steps": steps}
    write_record(directory, record | ending | {"error": str(error) or type(error).__name__})


def _check_monitor(monitor: str, data: QuestionData) -> None:
    """The names of what a validation measures are known beforehand."""
    kinds = sorted({row.kind for row in data.validation})
    names = ["val/loss", "val/exact_match", "val/f1"]
    names += [f"val/{metric}_{kind}" for metric in ("exact_match", "f1") for kind in kinds]
    if monitor not in names:
        raise ValueError(
            f"checkpoint.monitor={monitor} is not measured; these are: {', '.join(names)}"
        )


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


def _is_child_process() -> bool:
    """Whether Lightning started this process beside the first one."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 or int(os.environ.get("NODE_RANK", "0")) > 0
