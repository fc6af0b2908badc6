"""Questions, tokenizer and network of a config, and all that can be found wrong before a run is touched.

How much room a training takes on the disk, said before it begins.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from qa_research.capture.callback import Capture
from qa_research.capture.recorders.recorder import Subject
from qa_research.capture.watched import choose, watch
from qa_research.config import build, build_capture
from qa_research.console import readable_size
from qa_research.model.bert import longest_window
from qa_research.model.weights import weights_fingerprint
from qa_research.runs.directory import check_writable
from qa_research.tasks.answering.data import QuestionData
from qa_research.tasks.answering.module import QuestionAnswering
from qa_research.training.trainer import check_trainer


@dataclass(frozen=True)
class Loaded:
    """Questions and network before anything is trained; `report`: how the network was made.

    `capture`: what will look into the training, None for nothing.
    """

    data: QuestionData
    module: QuestionAnswering
    report: tuple[str, ...]
    capture: Capture | None
    plain: dict[str, Any]

    def fingerprints(self) -> dict[str, str]:
        """A sha256 of each split's questions and of the initial weights."""
        return self.data.fingerprints() | {"weights": weights_fingerprint(self.module.network)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The network's tensors by Hugging Face's names."""
        return {n: tuple(t.shape) for n, t in self.module.network.state_dict().items()}

    def cut(self) -> None:
        """Cut the questions into windows, or take them from the cache."""
        self.data.prepare(self.module.tokenizer, _cache(self.plain), self.plain["seed"])

    def validation_names(self) -> list[str]:
        """What a validation measures."""
        kinds = sorted({row.kind for row in self.data.validation})
        names = ["val/loss", "val/exact_match", "val/f1"]
        return names + [f"val/{metric}_{k}" for metric in ("exact_match", "f1") for k in kinds]


def load(plain: dict[str, Any]) -> Loaded:
    """Build data and network.

    Raises:
        ValueError, OSError: they cannot be made as asked for.
    """
    check_trainer(plain["trainer"])
    if plain["train"]["threads"] is not None:
        torch.set_num_threads(plain["train"]["threads"])
    cache = _cache(plain)
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
    capture = _capture(plain, data, module) if plain["capture"] else None
    loaded = Loaded(data, module, report, capture, plain)
    names, monitor = loaded.validation_names(), plain["checkpoint"]["monitor"]
    if monitor not in names:
        raise ValueError(
            f"checkpoint.monitor={monitor} is not measured; these are: {', '.join(names)}"
        )
    return loaded


def _capture(plain: dict[str, Any], data: QuestionData, module: QuestionAnswering) -> Capture:
    capture: Capture = build_capture(plain["capture"])
    # Drawn by the seed of the data, so that runs of several seeds watch the same questions.
    chosen = choose(capture.questions, data.train, data.validation, data.seed)
    watched = watch(chosen, module.tokenizer, data.max_tokens, data.stride_tokens)
    capture.prepare(
        Subject(
            network=module.network,
            watched=watched,
            answering=module.answering,
            max_tokens=data.max_tokens,
            batch_size=data.batch_size,
            is_compiled=module.compiles,
            is_scaled=plain["trainer"]["precision"] == "16-mixed",
        )
    )
    return capture


def _cache(plain: dict[str, Any]) -> Path:
    return Path(plain["paths"]["cache"]).expanduser()


log = logging.getLogger(__name__)
# Weights and the two moments of AdamW.
TENSORS_A_STATE = 3
# last.ckpt, previous.ckpt and the one being written; best.ckpt, its successor, and the final weights.
STATES, WEIGHTS = 3, 3


def check_disk(directory: Path, network: PreTrainedModel, checkpoint: Mapping[str, Any]) -> None:
    """Say what the checkpoints need at most.

    Raises:
        OSError: so much is not free.
    """
    weights = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    needed = weights * (STATES * TENSORS_A_STATE + WEIGHTS)
    place = directory
    while not place.exists():
        place = place.parent
    # What lies there already is replaced.
    there = sum(p.stat().st_size for p in (directory / "checkpoints").glob("[!s]*.ckpt"))
    needed = max(needed - there, 0)
    free = shutil.disk_usage(place).free
    every = checkpoint["keep_every_n_steps"]
    more = f", and {readable_size(weights)} more every {every} steps" if every else ""
    need, room = readable_size(needed), readable_size(free)
    log.info("Disk: the checkpoints need up to %s%s; %s are free", need, more, room)
    if needed > free:
        raise OSError(
            f"the checkpoints need up to {need} and only {room} are free in {place}; paths.runs=DIR "
            "names another place"
        )
