"""Recordings of stacks with planted shares, and runs that have them."""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.ledger.stacks import Frame, Recording, Sample, Stack, write_recording
from qa_research.stacks.choosing import Chosen
from tests.fake_runs import record_of, write_run

LIGHTNING = "lightning/pytorch/"
MAIN = Frame("main/train.py", 46, "<module>", "sys.exit(main())")
IMPORT = Frame("qa_research/training/story.py", 20, "<module>", "import torch")
FIT = Frame(f"{LIGHTNING}trainer/trainer.py", 584, "fit", "call._call_and_handle_interrupt(")
HOOK = Frame(f"{LIGHTNING}trainer/call.py", 49, "_call_and_handle_interrupt", "return trainer_fn()")
LOOP = Frame(f"{LIGHTNING}loops/fit_loop.py", 469, "advance", "self.epoch_loop.run(fetcher)")
STEP = Frame(
    f"{LIGHTNING}strategies/strategy.py", 391, "training_step", "return self.module(batch)"
)
CALL = Frame("torch/nn/modules/module.py", 1794, "_call_impl", "return forward_call(*args)")
QUERY = Frame("transformers/bert.py", 186, "forward", "query = self.query(hidden)")
VALUE = Frame("transformers/bert.py", 187, "forward", "value = self.value(hidden)")
LINEAR = Frame("torch/nn/modules/linear.py", 134, "forward", "return F.linear(input, self.weight)")
DROPOUT = Frame("torch/nn/functional.py", 1400, "dropout", "return _VF.dropout(input, p, training)")
BACKWARD = Frame(
    "torch/autograd/graph.py", 1072, "_engine_run_backward", "return engine.run_backward("
)
NEXT = Frame("torch/utils/data/dataloader.py", 700, "__next__", "data = self._next_data()")
WAIT = Frame("python3.11/threading.py", 331, "wait", "gotit = waiter.acquire(True, timeout)")

TRAINING: Stack = (MAIN, FIT, HOOK, LOOP)
FORWARD: Stack = (*TRAINING, STEP, CALL)
# What a stack shows -> its phase and the stack.
KINDS: dict[str, tuple[str, Stack]] = {
    "start": ("starting Python", ()),
    "import": ("imports", (MAIN, IMPORT)),
    "query": ("forward", (*FORWARD, QUERY, CALL, LINEAR)),
    "value": ("forward", (*FORWARD, VALUE, CALL, LINEAR)),
    "dropout": ("forward", (*FORWARD, VALUE, DROPOUT)),
    "backward": ("backward", (*TRAINING, BACKWARD)),
    "wait": ("waiting for data", (*TRAINING, NEXT)),
}
SHARES = {"query": 0.2, "value": 0.15, "dropout": 0.1, "backward": 0.45, "wait": 0.1}
MEAN_S, SETUP_S = 0.1, 4.0


def make_recording(
    shares: Mapping[str, float] = SHARES, steps: int = 40, seed: int = 1, **changes: Any
) -> Recording:
    """A training of a second a step after 4 s of setting up, sampled ten times a second."""
    rng = random.Random(seed)
    samples, at_s, end_s = [], 0.0, SETUP_S + steps
    while (at_s := at_s + rng.expovariate(1 / MEAN_S)) < end_s:
        kind = "start" if at_s < 0.5 else "import" if at_s < SETUP_S else _drawn(rng, shares)
        phase, stack = KINDS[kind]
        step = None if at_s < SETUP_S + 1 else int(at_s - SETUP_S)
        samples.append(Sample(at_s, phase, stack, step, memory_mb=900.0, others=((WAIT,),)))
    known: dict[str, Any] = {
        "run_id": None,
        "run": "train.py",
        "rank": 0,
        "started": "2026-11-26T21:10:54+00:00",
        "command": ("train.py", "seed=1"),
        "mean_s": MEAN_S,
        "seed": seed,
        "from_s": 0.0,
        "to_s": end_s,
        "ending": "finished",
        "samples": tuple(samples),
        "facts": {"processors": 2},
    }
    return Recording(**(known | changes))


def _drawn(rng: random.Random, shares: Mapping[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


def chosen(*recordings: Recording, name: str = "demo/one") -> Chosen:
    """As if they had been chosen from a ledger."""
    return Chosen(name, tuple(range(1, len(recordings) + 1)), recordings, None)


def write_sampled_run(runs: Path, number: int, *recordings: Recording, **run: Any) -> Path:
    """A run's directory, and recordings of it in the ledger of its folder of runs."""
    directory = write_run(runs, number, **run)
    with Ledger(runs / LEDGER) as ledger:
        for recording in recordings:
            own = replace(recording, run_id=record_of(number)["id"], run=directory.name)
            write_recording(ledger, own)
    return directory
