"""What a step of each strategy costs: python experiments/finetuning_strategies/cost.py FILE

The time of steps on the same batches, all strategies in turn in one process, so that whatever else the
machine does slows all of them alike; and the memory of each, in a process of its own. FILE is JSON.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from qa_research.config import build as build_section
from qa_research.console import tracked
from qa_research.files import write_text
from qa_research.launch.compose import default_config
from qa_research.model.bert import Architecture, build
from qa_research.model.weights import PACKAGED
from qa_research.training.finetuning.adapted import Adapted
from qa_research.training.finetuning.plan import Plan, plan_of
from qa_research.training.finetuning.strategies import Strategy

# As commands.sh trains them.
CHOICES = {
    "full": (),
    "frozen": (),
    "top_k": ("finetuning.layers=2",),
    "gradual": ("finetuning.every_n_steps=20",),
    "discriminative": (),
    "lora": (),
    "bottleneck": (),
    "pals": (),
}
# Of the trainings: 200 steps on 32 windows of 54 tokens on average.
STEPS, WINDOWS, TOKENS, VOCABULARY = 200, 32, 54, 30_522
ROUNDS, MEASURED_STEPS = 40, 5


@dataclass
class Trained:
    """A network, its optimizer, and what of it trains when; None: everything, always."""

    network: PreTrainedModel
    plan: Plan | None
    optimizer: torch.optim.Optimizer

    def step(self, number: int, batch: dict[str, torch.Tensor]) -> None:
        """One optimizer step as a training does it, and as its step of this number."""
        if self.plan:
            trained = {part.name for part in self.plan.trained(number)}
            for part in self.plan.parts:
                for parameter in part.parameters.values():
                    parameter.requires_grad_(part.name in trained)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.network(**batch).loss
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def made(name: str) -> Trained:
    """The pretrained network with a strategy."""
    sizes = Architecture(None, None, None, None, None)
    network = build(PACKAGED, sizes, 0.0, VOCABULARY, seed=1).network
    section = default_config("train", [f"finetuning={name}", *CHOICES[name]])["finetuning"]
    if section is None:
        return Trained(network, None, torch.optim.AdamW(network.parameters(), lr=3e-4, fused=True))
    strategy: Strategy = build_section("finetuning", section)
    if isinstance(strategy, Adapted):
        strategy.adapters.add(network, seed=1)
    plan = plan_of(strategy, network)
    groups = [{"params": list(share.parameters)} for share in plan.shares()]
    return Trained(network, plan, torch.optim.AdamW(groups, lr=3e-4, fused=True))


def batch_of(number: int) -> dict[str, torch.Tensor]:
    """Random tokens: what they say changes no cost."""
    generator = torch.Generator().manual_seed(number)
    ids = torch.randint(1000, VOCABULARY, (WINDOWS, TOKENS), generator=generator)
    spans = torch.randint(0, TOKENS, (2, WINDOWS), generator=generator)
    return {"input_ids": ids, "start_positions": spans[0], "end_positions": spans[1]}


def seconds() -> dict[str, list[float]]:
    """Of steps by strategy, spread over the whole training: `gradual` trains other parts at each."""
    networks = {name: made(name) for name in CHOICES}
    found: dict[str, list[float]] = {name: [] for name in CHOICES}
    for turn in tracked(range(ROUNDS), "rounds"):
        batch = batch_of(turn)
        for name, trained in networks.items():
            started = time.perf_counter()
            trained.step(turn * STEPS // ROUNDS, batch)
            found[name].append(time.perf_counter() - started)
    return found


def memory(name: str) -> dict[str, int]:
    """Bytes at the end of a training: of gradients, of the optimizer, and of the process at most."""
    trained = made(name)
    gradients = 0

    def count(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        nonlocal gradients
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = sum(p.grad.nbytes for p in parameters if p.grad is not None)

    trained.optimizer.register_step_pre_hook(count)
    for number in range(MEASURED_STEPS):
        trained.step(STEPS - 1, batch_of(number))
    moments = sum(
        value.nbytes
        for state in trained.optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"gradients": gradients, "optimizer": moments, "peak": peak}


def _in_a_process(name: str) -> Any:
    command = [sys.executable, __file__, "--memory", name]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Measure all; with --memory NAME the memory of one, as JSON on stdout."""
    torch.set_num_threads(1)
    if sys.argv[1] == "--memory":
        sys.stdout.write(json.dumps(memory(sys.argv[2])))
        return
    # First, while this process is small: on Linux a child's peak is at least that of its parent.
    found: dict[str, Any] = {"memory": {name: _in_a_process(name) for name in CHOICES}}
    found["seconds"] = seconds()
    write_text(Path(sys.argv[1]), json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
