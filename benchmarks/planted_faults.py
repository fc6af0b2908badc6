"""Does the verdict on sampled stacks name faults that were planted? python benchmarks/planted_faults.py

Each fault is planted into a real training of the built-in questions by BERT-Tiny, which is sampled from its
start to its end. The verdict must be the fault's, and a training without a fault must have none alleged.
With `--shipped` the shipped experiments are trained for a while, in which nothing may be alleged either.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from qa_research.ledger.stacks import Recording
from qa_research.stacks.collecting import collect, keep
from qa_research.stacks.launching import own_folder, sample_command
from qa_research.stacks.verdict import Verdict, judge
from qa_research.text import aligned, print_line, print_note

HERE = Path(__file__).parent
HUB_ANSWERS_AFTER_S = 6.0
QUICK = ("data.train_questions=4000", "data.validation_questions=200", "capture=none", "logger=csv")


@dataclass(frozen=True)
class Plant:
    """A fault as overrides of the default training, and the verdict that is right.

    `bound`: what `Verdict.bound` must be; None: no fault may be alleged. `names`: what its sentence must
    hold, too. `processors`: that the training may use; with one, other programs slow it the least.
    """

    fault: str
    overrides: tuple[str, ...]
    bound: str | None
    names: str = ""
    processors: int = 1


PLANTS = (
    Plant("none", (*QUICK, "trainer.max_steps=200"), None),
    Plant(
        "slow loader",
        (*QUICK, "trainer.max_steps=100", "data._target_=planted.SlowLoader"),
        "slow loader",
    ),
    Plant(
        "slow logger",
        (
            *QUICK[:-1],
            "trainer.max_steps=100",
            "logger._target_=planted.SlowTracker",
            "logger=csv",
            "trainer.log_every_n_steps=1",
        ),
        "slow logger",
    ),
    Plant(
        "slow checkpoint disk",
        (*QUICK, "trainer.max_steps=100", "checkpoint._target_=planted.SlowDisk"),
        "slow checkpoint disk",
    ),
    Plant(
        "too frequent validation",
        (
            *QUICK,
            "trainer.max_steps=100",
            "trainer.val_check_interval=1",
            "trainer.check_val_every_n_epoch=null",
        ),
        "validation",
    ),
    Plant(
        "memory creep",
        (*QUICK, "trainer.max_steps=300", "model._target_=planted.Creeping"),
        "memory creep",
    ),
    Plant(
        "Python loop in the collate function",
        (*QUICK, "trainer.max_steps=100", "data._target_=planted.LoopingCollate"),
        "Python loop in the collate function",
        "planted.py:",
    ),
    Plant(
        "capture without budget",
        (
            *QUICK[:2],
            "logger=csv",
            "trainer.max_steps=150",
            "capture=everything",
            "capture.every_n_steps=1",
            "capture.questions=8",
        ),
        "capture",
    ),
    Plant(
        "one thread instead of two",
        (*QUICK, "trainer.max_steps=200", "train.threads=1"),
        "too few threads",
        processors=2,
    ),
    Plant(
        "a hub look-up at start",
        (*QUICK, "trainer.max_steps=100", "data._target_=planted.AskingHub"),
        "network at start",
    ),
    Plant(
        "an accidental float64",
        # In bf16-mixed, the head that computes in float32 would refuse it.
        (
            *QUICK,
            "trainer.max_steps=60",
            "trainer.precision=32-true",
            "model._target_=planted.Doubled",
        ),
        "accidental float64",
        "float64",
    ),
)
# What is shipped and needs neither a hub nor a GPU, each with what ends it within a minute or so.
SHIPPED = {
    "nopretrain": ("+experiment=nopretrain", "trainer.max_steps=400"),
    "pretrained": ("+experiment=pretrained", "trainer.max_steps=60"),
    "overfit": ("+experiment=overfit",),
    "smoke": ("+experiment=smoke",),
    "demo": ("+experiment=demo", "trainer.max_steps=40"),
    "moment": ("+experiment=moment", "trainer.max_steps=20"),
    "unit_287": ("+experiment=unit_287", "trainer.max_steps=40"),
    "two processes": ("trainer=ddp", "trainer.max_steps=200"),
}


@dataclass(frozen=True)
class Trial:
    """A sampled training and the verdict on it."""

    name: str
    verdict: Verdict
    is_right: bool
    seconds: float
    samples: int


def main() -> int:
    """Train, sample, print a table; 1 if a verdict was wrong."""
    arguments = _arguments()
    trials = []
    with place(arguments.folder) as folder, slow_hub() as hub:
        os.environ |= {"PLANTED_HUB": hub, "PYTHONPATH": _python_path()}
        # The planted hub is on this machine, and is asked also where no other may be.
        os.environ.pop("HF_HUB_OFFLINE", None)
        for name, overrides, plant in _planned(arguments):
            begun = time.monotonic()
            with on_processors(plant.processors if plant else 1):
                recordings = sampled(overrides, folder, arguments)
            trial = _judged(name, plant, recordings, time.monotonic() - begun)
            trials.append(trial)
            print_note(f"{name}: {'right' if trial.is_right else 'WRONG'}")
            for line in trial.verdict.lines():
                print_note(f"    {line}")
    for line in table(trials):
        print_line(line)
    return int(not all(trial.is_right for trial in trials))


def sampled(
    overrides: Sequence[str], folder: Path, arguments: argparse.Namespace
) -> list[Recording]:
    """Train in a process of its own and sample it; the recordings of its processes.

    Raises:
        RuntimeError: the training failed.
    """
    train = HERE.parent / "train.py"
    words = [sys.executable, str(train), f"paths.runs={folder / 'runs'}"]
    words += [f"paths.cache={folder / 'cache'}", "train.resume=never", "train.progress=none"]
    words += [f"seed={arguments.seed}", *overrides]
    with own_folder() as samples:
        sampler, code = sample_command(words, arguments.mean_interval, arguments.seed, samples)
        if code:
            raise RuntimeError(f"{' '.join(words)} ended with {code}")
        found = collect(sampler, folder / "runs")
    keep(found)
    return [recording for recording, _ in found]


def table(trials: Sequence[Trial]) -> list[str]:
    """A line for each training: what was planted, what was said, whether that is right."""
    rows = [
        (
            t.name,
            t.verdict.sentence,
            "yes" if t.is_right else "NO",
            f"{t.samples:,}",
            f"{t.seconds:.0f}",
        )
        for t in trials
    ]
    lines = aligned([("planted", "verdict", "right", "samples", "s"), *rows], (3, 4))
    right = sum(trial.is_right for trial in trials)
    return [*lines, f"{right} of {len(trials)} right"]


@contextmanager
def on_processors(count: int) -> Iterator[None]:
    """What is started inside may use so many processors, if there are, where the system can say so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """That folder, or a temporary one."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


@contextmanager
def slow_hub() -> Iterator[str]:
    """The address of a hub on this machine that answers after a while."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(HUB_ANSWERS_AFTER_S)
            told = {
                "id": "planted/questions",
                "private": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
            }
            body = json.dumps(told | {"sha": "0" * 40, "siblings": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def _judged(
    name: str, plant: Plant | None, recordings: Sequence[Recording], seconds: float
) -> Trial:
    verdict = judge(recordings)
    if plant is None or plant.bound is None:
        is_right = not verdict.is_fault
    else:
        is_right = verdict.bound == plant.bound and plant.names in verdict.sentence
    samples = sum(len(recording.samples) for recording in recordings)
    return Trial(name, verdict, is_right, seconds, samples)


def _planned(
    arguments: argparse.Namespace,
) -> Iterator[tuple[str, tuple[str, ...], Plant | None]]:
    if arguments.shipped:
        for name, overrides in SHIPPED.items():
            if not arguments.only or name in arguments.only:
                limit = (f"trainer.max_steps={arguments.steps}",) if arguments.steps else ()
                yield (
                    name,
                    (*(o for o in overrides if not (limit and "max_steps" in o)), *limit),
                    None,
                )
        return
    for plant in PLANTS:
        if not arguments.only or plant.fault in arguments.only:
            yield plant.fault, plant.overrides, plant


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", ""))))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shipped", action="store_true", help="the shipped experiments instead")
    parser.add_argument("--only", nargs="*", default=(), help="these faults or experiments")
    parser.add_argument(
        "--folder", type=Path, help="keeps the runs, and their ledger with the samples"
    )
    parser.add_argument("--steps", type=int, help="of each shipped experiment, on a slow machine")
    parser.add_argument("--seed", type=int, default=1, help="of trainings and of sampling times")
    parser.add_argument("--mean-interval", type=float, default=0.05, help="seconds between samples")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
