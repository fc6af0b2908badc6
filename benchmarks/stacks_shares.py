"""Are sampled shares those that torch.profiler measures? python benchmarks/stacks_shares.py [--steps 150]

One training of MiniLM on the built-in questions is sampled, as `stacks -- python train.py` does it, while
torch.profiler times every forward and backward pass and every optimizer step of the same training. Shares are
of the time within Lightning's training epoch; `rest` is what is none of the three, mostly validation. The
profiler slows operations down, in both columns alike.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import profiled_trainer

from qa_research.ledger.stacks import Recording
from qa_research.stacks.collecting import collect
from qa_research.stacks.launching import own_folder, sample_command
from qa_research.stats import exact_ratio

EPOCH = ("lightning/pytorch/loops/fit_loop.py", "advance")
PHASES = ("forward", "backward", "optimizer")


def timed(times: dict[str, float]) -> dict[str, float]:
    """The share of each phase, in [0, 1], by torch.profiler."""

    def seconds(part: str) -> float:
        return sum(value for name, value in times.items() if name.endswith(part))

    forward, backward = seconds("Strategy.training_step"), seconds("Strategy.backward")
    optimizer = seconds(".optimizer_step") - seconds("Strategy.optimizer_step")
    whole = seconds("run_training_epoch")
    # The closure of an optimizer step runs both passes.
    parts = [forward, backward, optimizer - forward - backward]
    found = {name: part / whole for name, part in zip(PHASES, parts, strict=True)}
    return found | {"rest": 1 - sum(found.values())}


def sampled(recording: Recording) -> list[str]:
    """The phase of each sample within the training epoch."""
    return [
        sample.phase
        for sample in recording.samples
        if any((frame.file, frame.function) == EPOCH for frame in sample.stack)
    ]


def main() -> None:
    """Print both shares of each phase."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=150)
    arguments = parser.parse_args()
    here = Path(__file__).parent
    with own_folder() as folder, tempfile.TemporaryDirectory() as place:
        times = Path(place) / "times.json"
        os.environ[profiled_trainer.TIMES] = str(times)
        os.environ["QA_RESEARCH_ALLOW"] = "profiled_trainer"
        os.environ["PYTHONPATH"] = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
        words = [
            *(sys.executable, str(here.parent / "train.py"), "+experiment=pretrained"),
            *("trainer._target_=profiled_trainer.ProfiledTrainer", f"paths.runs={place}"),
            *(f"trainer.max_steps={arguments.steps}", "model.warmup_fraction=0.1"),
            *("capture=none", "train.stop_at=null", "train.progress=none"),
            *("data.validation_questions=200", "trainer.precision=32-true"),
        ]
        sampler, code = sample_command(words, 0.1, 1, folder)
        if code:
            sys.exit(code)
        ((recording, _),) = collect(sampler, Path(place))
        shares = timed(json.loads(times.read_text()))
    phases = sampled(recording)
    print(f"{len(phases)} samples within the training epoch")
    print(f"{'phase':<10} torch.profiler  sampled [95 %]")
    for name, share in shares.items():
        seen = sum(p not in PHASES if name == "rest" else p == name for p in phases)
        ratio = exact_ratio(seen, len(phases))
        interval = f"[{100 * ratio.low:.1f}, {100 * ratio.high:.1f}]"
        print(f"{name:<10} {100 * share:13.1f}%  {100 * ratio.value:.1f} {interval}")


if __name__ == "__main__":
    main()
