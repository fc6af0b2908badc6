"""What looking into a training costs: python benchmarks/capture_cost.py [--model bert_tiny|minilm].

One training of the built-in questions, by the same code, with the same seed and batches: `none` captures
nothing, `ours` as capture=default does, `eager` has the network return its attention with every training
batch, and `nnsight` traces the same values of the watched questions, as often, and only keeps them
in memory. Each is a process of its own, in turn, and each round starts with a different one. Start-up and
the one validation, which comes after the training, are not timed. TMPDIR says where it is all written.

A whole training's time varies by several percent from one run to the next. What the callback's hooks took
of it, timed within the run, shows a cost of 2 % too; eager has none, as its cost is in the training step.
It also attends by another kernel, which may be the faster one; `--contestants eager-kernel eager` shows
what returning the attention costs apart from that.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NONE = "none"
WAYS = {
    NONE: ["capture=none"],
    "ours": ["capture=default"],
    "eager": ["capture=none", "model._target_=capture_contestants.EagerQuestionAnswering"],
    "eager-kernel": ["capture=none", "model._target_=capture_contestants.EagerKernel"],
    "nnsight": [
        "capture=default",
        "capture.max_step_fraction=null",
        "capture.tensorboard=false",
        "capture._target_=capture_contestants.NnsightCapture",
    ],
}
USUAL = ("ours", "eager", "nnsight")
SETTINGS = {"bert_tiny": [], "minilm": ["+experiment=pretrained"]}
# Some captures lie between the first and the last.
STEPS = {"bert_tiny": 400, "minilm": 100}


@dataclass(frozen=True)
class Measurement:
    """One training.

    `spent`: seconds of each call of a hook, of `capture`, and of `forward_watched` (its forward pass).
    `stated_percent`: in run.json. `recording_mib`, `kept_mib`: what captures of 1,000 steps keep on the disk
    and in memory; `board_mib`: TensorBoard's files of this run. `weights`: sha256 at the end.
    `difference`: of nnsight's latest values from ours at the same weights, at most.
    """

    train_s: float
    peak_mib: float
    spent: dict[str, list[float]]
    captures: int
    left_out: int
    stated_percent: float | None
    recording_mib: float
    kept_mib: float
    board_mib: float
    weights: str
    difference: float | None

    @property
    def hooks_percent(self) -> float | None:
        """What hooks took of the training's time; None without such a callback."""
        hooks = [sum(calls) for name, calls in self.spent.items() if name.startswith("on_")]
        return 100 * sum(hooks) / self.train_s if hooks else None

    def call_ms(self, name: str) -> float | None:
        """A call of that name, in the middle; None where there was none."""
        return 1000 * statistics.median(self.spent[name]) if name in self.spent else None


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    if arguments.worker:
        # Here alone, as the peak of a new process is never below its parent's size.
        from capture_contestants import measure

        with tempfile.TemporaryDirectory() as folder:
            found = measure(_settings(arguments), Path(folder))
        print(json.dumps(found))
        return
    names = [NONE, *dict.fromkeys(arguments.contestants)]
    if "nnsight" in names and importlib.util.find_spec("nnsight") is None:
        print("nnsight is not installed and is skipped: pip install '.[bench]'", file=sys.stderr)
        names.remove("nnsight")
    rounds: dict[str, list[Measurement]] = {name: [] for name in names}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as cache:
        # Tokenises the questions, so that no other process has to.
        _in_a_process(NONE, arguments.model, 1, cache)
        for number in range(arguments.rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                measured = _in_a_process(name, arguments.model, arguments.steps, cache)
                rounds[name].append(measured)
                print(f"round {number + 1}: {name:<13}{measured.train_s:9.2f} s", file=sys.stderr)
    threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
    print(
        f"{arguments.model}, {arguments.steps} steps, {arguments.rounds} rounds, {threads} threads; "
        f"load of the machine before: {load:.1f}"
    )
    print(render(rounds))
    if "ours" in rounds and not _same_weights(rounds, "ours"):
        sys.exit("ours has changed the training")


def render(rounds: dict[str, list[Measurement]]) -> str:
    """Medians over the rounds, and the range of ratios to `none` of the same round."""
    lines = [
        f"{'':<13}{'training s':>11}{'ratio [low, high]':>22}{'hooks':>8}{'stated':>8}{'captures':>10}"
        f"{'skipped':>9}{'a capture':>11}{'forward':>10}{'peak MiB':>10}{'disk':>7}{'memory':>8}"
    ]
    nones = rounds[NONE]
    for name, found in rounds.items():
        ratios = [f.train_s / n.train_s for f, n in zip(found, nones, strict=True)]
        ratio = f"{statistics.median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]"
        above = [f.peak_mib - n.peak_mib for f, n in zip(found, nones, strict=True)]
        peak = _median([f.peak_mib for f in found]) if name == NONE else _median(above, "+.0f")
        lines.append(
            f"{name:<13}{_median([f.train_s for f in found], '.2f'):>11}{ratio:>22}"
            f"{_median([f.hooks_percent for f in found], '.2f', ' %'):>8}"
            f"{_median([f.stated_percent for f in found], '.2f', ' %'):>8}"
            f"{_median([f.captures for f in found]):>10}{_median([f.left_out for f in found]):>9}"
            f"{_median([f.call_ms('capture') for f in found], '.1f', ' ms'):>11}"
            f"{_median([f.call_ms('forward_watched') for f in found], '.1f', ' ms'):>10}{peak:>10}"
            f"{_median([f.recording_mib for f in found], '.1f'):>7}"
            f"{_median([f.kept_mib for f in found], '.1f'):>8}"
        )
    lines += [
        "hooks, stated: of the run's own training time, as timed here and as run.json says; "
        "peak MiB: more than none;",
        "disk (blocks of recording.zarr), memory: MiB that the captures of 1,000 steps keep",
    ]
    return "\n".join([*lines, *_details(rounds)])


def _details(rounds: dict[str, list[Measurement]]) -> list[str]:
    lines = []
    for name in ("ours", "nnsight"):
        for first in rounds.get(name, [])[:1]:
            for hook, calls in first.spent.items():
                share = sum(calls) / first.train_s
                if hook.startswith("on_") and share >= 1e-4:
                    spent = f"{sum(calls):.3f} s, {share:.2%} of the first round"
                    lines.append(f"{name}, {hook}: {spent}")
    if "ours" in rounds:
        pairs = zip(rounds["ours"], rounds[NONE], strict=True)
        more = _median([o.board_mib - n.board_mib for o, n in pairs], "+.2f")
        lines.append(f"ours, TensorBoard's files of the run: {more} MiB")
    for name in rounds:
        same = "are none's" if _same_weights(rounds, name) else "differ from none's"
        if name != NONE:
            lines.append(f"{name}, weights at the end {same} (sha256 {rounds[name][0].weights})")
    for first in rounds.get("nnsight", [])[:1]:
        lines.append(f"nnsight, its last values differ from ours by at most {first.difference:g}")
    return lines


def _same_weights(rounds: dict[str, list[Measurement]], name: str) -> bool:
    return len({found.weights for found in rounds[name] + rounds[NONE]}) == 1


def _median(values: Sequence[float | None], form: str = ".0f", unit: str = "") -> str:
    there = [value for value in values if value is not None]
    return f"{statistics.median(there):{form}}{unit}" if there else "-"


def _settings(arguments: argparse.Namespace) -> list[str]:
    return [
        *SETTINGS[arguments.model],
        *WAYS[arguments.worker],
        *(f"trainer.max_steps={arguments.steps}", "trainer.max_epochs=1000"),
        # No validation, but for the one after a training that had none.
        *("trainer.check_val_every_n_epoch=1000", "data.validation_questions=100"),
        *("train.stop_at=null", "train.progress=none"),
        *("checkpoint.every_n_minutes=null", f"paths.cache={arguments.cache}"),
    ]


def _in_a_process(name: str, model: str, steps: int, cache: str) -> Measurement:
    command = [sys.executable, __file__, "--worker", name, "--model", model]
    command += ["--steps", str(steps), "--cache", cache]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=SETTINGS, default="bert_tiny")
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--contestants", nargs="+", choices=[w for w in WAYS if w != NONE], default=USUAL
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.steps = arguments.steps or STEPS[arguments.model]
    if min(arguments.steps, arguments.rounds) < 1:
        parser.error("--steps and --rounds must be at least 1")
    return arguments


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
