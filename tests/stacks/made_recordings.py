"""Recordings with known shares, made without a training: what the rules of a verdict are tested on."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qa_research.ledger.stacks import Frame, Recording, Sample, Stack

FACTS: Mapping[str, Any] = {
    "processors": 2,
    "threads": 2,
    "device": "cpu",
    "precision": "bf16-mixed",
    "processes": 1,
    "parameters": {"float32": 4_400_000},
    "batch": {"input_ids": "int64", "attention_mask": "int64"},
    "workers": 0,
    "steps": 400,
    "first_step": 0,
}
FIT = Frame("lightning/pytorch/trainer/trainer.py", 630, "_fit_impl")
FETCH = "torch/utils/data/_utils/fetch.py"
GPU = {**FACTS, "device": "cuda", "threads": 1, "processors": 16}
NUMBERS = Frame("mine/collate.py", 12, "pad", "row.append(0)")
COLLATING = (
    FIT,
    Frame(FETCH, 54, "fetch", "return self.collate_fn(data)"),
    Frame("mine/collate.py", 20, "collate", "rows = [pad(row) for row in batch]"),
    NUMBERS,
)
READING = (
    FIT,
    Frame(FETCH, 50, "fetch", "data = self.dataset.__getitems__(possibly_batched_index)"),
    Frame("mine/data.py", 7, "__getitems__", "return read(indices)"),
    Frame("python3.11/gzip.py", 301, "read", "return self._buffer.read(size)"),
)
ASKING = (
    Frame("mine/data.py", 9, "read", "HfApi().dataset_info(name)"),
    Frame("huggingface_hub/hf_api.py", 2900, "dataset_info", "r = get_session().get(path)"),
    Frame("httpx/_client.py", 914, "send", "response = self._send(request)"),
    Frame("python3.11/socket.py", 718, "readinto", "return self._sock.recv_into(b)"),
)
DROPPING = (
    FIT,
    Frame("lightning/pytorch/strategies/strategy.py", 391, "training_step"),
    Frame("torch/nn/functional.py", 1425, "dropout", "_VF.dropout(input, p, training)"),
)
SYNCING = (FIT, Frame("qa_research/files.py", 120, "written_whole", "os.fsync(file.fileno())"))
GATHERING = (FIT, Frame("torch/distributed/distributed_c10d.py", 2810, "all_reduce", "work.wait()"))
READING_LOSS = (
    FIT,
    Frame(
        "qa_research/training/metrics.py",
        84,
        "on_train_batch_end",
        "values = (float(loss), self.lr, float(module.gradient_norm))",
    ),
)


@dataclass
class Made:
    """A training of so many samples of each phase before its first step, in its steps, and after them.

    `stacks`: of a phase, in place of one frame. `busy`: processors by phase, 2 if not named. `memory_mb`: by
    the part of the steps that is done, from 0 to 1. In the steps, phases come in random order.
    """

    steps: Mapping[str, int]
    starting: Mapping[str, int] = field(default_factory=lambda: {"imports": 30, "data": 10})
    ending: Mapping[str, int] = field(default_factory=lambda: {"validation": 10})
    facts: Mapping[str, Any] = field(default_factory=lambda: FACTS)
    stacks: Mapping[str, Stack] = field(default_factory=dict)
    busy: Mapping[str, float] = field(default_factory=dict)
    memory_mb: Callable[[float], float] = lambda part: 700.0
    rank: int = 0
    step_count: int = 400
    seed: int = 0

    def recording(self) -> Recording:
        """With a sample every 0.1 s on average."""
        chance = random.Random(self.seed)
        samples: list[Sample] = []
        at_s = cpu_s = 0.0
        for place, phases in enumerate((self.starting, self.steps, self.ending)):
            names = [phase for phase, count in phases.items() for _ in range(count)]
            if place == 1:
                chance.shuffle(names)
            for number, phase in enumerate(names):
                apart = chance.expovariate(10)
                at_s, cpu_s = at_s + apart, cpu_s + apart * self.busy.get(phase, 2.0)
                part = number / len(names) if place == 1 else float(place > 1)
                step = (None, 1 + int(part * (self.step_count - 1)), self.step_count)[place]
                stack = self.stacks.get(phase, (FIT,))
                memory = self.memory_mb(part) + chance.gauss(0, 2)
                samples.append(
                    Sample(at_s, phase, stack, step, memory_mb=memory, cpu_s=round(cpu_s, 2))
                )
        command, to_s = ("train.py",), at_s + 0.1
        return Recording(
            "id",
            "run",
            self.rank,
            None,
            command,
            0.1,
            1,
            0.0,
            to_s,
            "ended",
            tuple(samples),
            self.facts,
        )
