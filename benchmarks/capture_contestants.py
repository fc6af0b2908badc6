"""What capture_cost.py times: one training in this process, which is looked into in one of four ways."""

import importlib
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from qa_research.capture import callback
from qa_research.capture.callback import Capture, CaptureSession
from qa_research.capture.forward import attention_weights, forward_watched
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.sites import FINAL, Anatomy, Site, module_of
from qa_research.config import conf_directory
from qa_research.launch.compose import checked
from qa_research.model.weights import weights_fingerprint
from qa_research.runs.directory import read_record
from qa_research.tasks.answering.decode import AnswerSettings
from qa_research.tasks.answering.module import QuestionAnswering
from qa_research.trackers.tracker import Tracker
from qa_research.training.story import train

# What of the callback runs between the start and the end of training.
HOOKS = [name for name in vars(Capture) if name.startswith(("on_train", "on_before"))]


@dataclass
class Seen:
    """About the one training of this process. `usual`: capture's default settings; `spent`: seconds of each
    call; `kept`: what stays in memory of each capture; `first_mib`: the recording with its first capture.
    """

    usual: Any = None
    began: float = 0.0
    train_s: float = 0.0
    first_mib: float = 0.0
    peak_mib: float = 0.0
    weights: str = ""
    spent: dict[str, list[float]] = field(default_factory=dict)
    kept: list[dict[Any, Tensor]] = field(default_factory=list)
    difference: Callable[[], float] | None = None


SEEN = Seen()


def measure(settings: list[str], folder: Path) -> dict[str, Any]:
    """Train once, under `folder`; the fields of capture_cost.Measurement."""
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        SEEN.usual = OmegaConf.to_container(compose("train").capture, resolve=True)
        timed_trainer = "trainer._target_=capture_contestants.TimedTrainer"
        config = compose("train", [*settings, timed_trainer, f"paths.runs={folder}"])
    calls: list[tuple[Any, str]] = [(Capture, name) for name in HOOKS]
    calls += [(callback, "forward_watched"), (CaptureSession, "capture")]
    calls += [(NnsightSession, "forward_watched"), (NnsightSession, "capture")]
    for owner, name in calls:
        setattr(owner, name, _timed(getattr(owner, name), name))
    train(checked(config))
    (run,) = (path.parent for path in folder.glob("*/*/run.json"))
    cost = (read_record(run) or {}).get("capture", {})
    captures = cost.get("captures", len(SEEN.kept))
    further = 1000 // SEEN.usual["every_n_steps"]
    grown = (_allocated_mib(run / RECORDING) - SEEN.first_mib) / max(captures - 1, 1)
    kept = sum(tensor.nbytes for capture in SEEN.kept for tensor in capture.values()) / 2**20
    return {
        "train_s": SEEN.train_s,
        "peak_mib": SEEN.peak_mib,
        "spent": SEEN.spent,
        "captures": captures,
        "left_out": cost.get("left_out", 0),
        "stated_percent": cost.get("percent_of_training"),
        "recording_mib": SEEN.first_mib + further * grown,
        "kept_mib": (1 + further) * kept / max(captures, 1),
        "board_mib": _allocated_mib(run / "tensorboard"),
        "weights": SEEN.weights,
        "difference": SEEN.difference() if SEEN.difference else None,
    }


class Begin(pl.Callback):
    """The first callback: the clock starts."""

    def on_train_start(self, *_: Any) -> None:
        SEEN.began = time.perf_counter()


class End(pl.Callback):
    """The last callback: the clock stops; then peak memory and the weights are read."""

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 0:
            began = time.perf_counter()
            SEEN.first_mib = _allocated_mib(Path(trainer.default_root_dir) / RECORDING)
            SEEN.began += time.perf_counter() - began

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        SEEN.train_s = time.perf_counter() - SEEN.began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        SEEN.peak_mib = peak / (2**10 if sys.platform == "linux" else 2**20)
        SEEN.weights = weights_fingerprint(pl_module.network)


class TimedTrainer(pl.Trainer):
    """A Trainer whose clock counts everything that callbacks do."""

    def __init__(self, callbacks: list[pl.Callback], **settings: Any) -> None:
        super().__init__(callbacks=[Begin(), *callbacks, End()], **settings)


class EagerKernel(QuestionAnswering):
    """Attends with matrices in memory, and returns them to nobody."""

    def build(self, seed: int, answering: AnswerSettings) -> tuple[str, ...]:
        report = super().build(seed, answering)
        self.network.set_attn_implementation("eager")
        return report


class EagerQuestionAnswering(EagerKernel):
    """The plain way: every training batch returns the attention of all layers, and some of it is kept: as
    often, as many rows, of the same layers and in the same precision as ours.
    """

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        output = self.network(**self.inputs_of(batch), output_attentions=True)
        step, last = self.trainer.global_step, self.trainer.max_steps - 1
        if step % SEEN.usual["every_n_steps"] == 0 or step == last:
            layers, rows = SEEN.usual["attention"]["layers"], SEEN.usual["questions"]
            kept = [output.attentions[layer][:rows].detach() for layer in layers]
            SEEN.kept.append({"attention": torch.stack(kept, dim=1).half().cpu()})
        loss: Tensor = output.loss
        self._loss = loss.detach()
        return loss


class NnsightCapture(Capture):
    """Captures when ours does, from the same questions and sites, through nnsight."""

    def write_to(self, directory: Path, tracker: Tracker) -> None:
        self.session = NnsightSession(self.recorders, self.subject, self.schedule, directory, None)


class NnsightSession(CaptureSession):
    """What nnsight's tracing sees, kept in memory; only the attention maps are computed from it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        network = self.subject.network
        nnsight: Any = importlib.import_module("nnsight")
        with warnings.catch_warnings():
            # It says that it calls BERT's modules `output` `E_output`.
            warnings.simplefilter("ignore")
            self.model = nnsight.NNsight(network)
        self.save = nnsight.save
        envoys = {path.partition(".")[2]: envoy for path, envoy in self.model.named_modules()}
        names = {module: name for name, module in network.named_modules()}
        anatomy, recorders = Anatomy(network), self.recorders.values()
        self.whole = {site for recorder in recorders for site in recorder.sites}
        self.at_span = {site for recorder in recorders for site in recorder.span_sites}
        # nnsight must be asked in the order of the forward pass.
        order = [Site(name, n) for n in range(anatomy.layers) for name in anatomy.sites]
        order.append(FINAL)
        self.reads = []
        for site in sorted(self.whole | self.at_span, key=order.index):
            module, side = module_of(network, site)
            self.reads.append((site, envoys[names[module]], side))
        SEEN.difference = self.difference

    def start(self, step: int, total: int) -> None:
        self._plan(total)
        self._remember(self.forward_watched(), step)

    def capture(self, step: int) -> None:
        self._remember(self.forward_watched(), step)

    def forward_watched(self) -> dict[Any, Tensor]:
        """The values that capture.forward.forward_watched returns, under the same conditions."""
        network = self.subject.network
        mode = network.training
        network.eval()
        with torch.no_grad(), torch.random.fork_rng([]), torch.autocast("cpu", enabled=False):
            found = self._trace()
        network.train(mode)
        return found

    def _trace(self) -> dict[Any, Tensor]:
        spans = self.subject.watched.outputs.true
        every = torch.arange(len(spans))[:, None]
        with self.model.trace(**self.subject.watched.inputs):
            found = self.save({})
            for site, envoy, side in self.reads:
                value = envoy.input if side == "input" else envoy.output
                if site in self.whole:
                    found[site, "whole"] = value
                if site in self.at_span:
                    found[site, "at span"] = value[every, spans]
            output = self.save(self.model.output)
        return {**found, "logits": torch.stack([output.start_logits, output.end_logits], dim=1)}

    def _remember(self, found: dict[Any, Tensor], step: int) -> None:
        mask, recorder = self.subject.watched.mask, cast(Any, self.recorders["attention"])
        network = cast(Any, self.subject.network)
        heads, maps = int(network.config.num_attention_heads), []
        for layer in recorder.layers:
            query, key = (found[Site(part, layer), "whole"] for part in ("query", "key"))
            maps.append(attention_weights(query, key, mask, heads))
        SEEN.kept.append({**found, "attention": torch.stack(maps, dim=1).half()})
        self.count += 1
        self.latest = step

    def difference(self) -> float:
        """How far its latest values are from ours at the same weights, at most."""
        subject, found = self.subject, SEEN.kept[-1]
        ours = forward_watched(subject.network, subject.watched, 0, self.whole, self.at_span)
        pairs = [(found["logits"], ours.scores)]
        pairs += [(found[site, "whole"], ours.values[site]) for site in self.whole]
        pairs += [(found[site, "at span"], ours.at_span[site]) for site in self.at_span]
        return max(float((theirs - own).abs().max()) for theirs, own in pairs)


def _timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, noting how long each call takes."""

    def wrapped(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            SEEN.spent.setdefault(name, []).append(time.perf_counter() - began)

    return wrapped


def _allocated_mib(folder: Path) -> float:
    """The disk blocks of a folder, as du counts them; 0 if it does not exist."""
    there = [folder, *folder.rglob("*")] if folder.exists() else []
    return sum(path.stat().st_blocks * 512 for path in there) / 2**20
