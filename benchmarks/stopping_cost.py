"""What being able to stop anywhere costs: python benchmarks/stopping_cost.py [--model bert_tiny|minilm].

For a training in this process: the share of its time spent in the hooks that listen for signals, write
curves and save. Then for trainings in processes of their own: how long after SIGTERM the state is saved and
the process has ended, next to the time of a step and of a save.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from qa_research.config import conf_directory
from qa_research.launch.compose import checked
from qa_research.training.metrics import Curves
from qa_research.training.resumable import DurableCheckpointIO, ExactCheckpoints
from qa_research.training.story import train

ROOT = Path(__file__).parents[1]
HOOKS = {
    ExactCheckpoints: ("on_train_batch_end", "on_validation_batch_end", "on_validation_start"),
    Curves: ("on_before_optimizer_step", "on_train_batch_end", "on_validation_end"),
}
SETTINGS = {
    "bert_tiny": ["data.train_questions=6400", "data.validation_questions=100"],
    "minilm": ["+experiment=pretrained", "data.train_questions=960"],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=SETTINGS, default="bert_tiny")
    parser.add_argument("--stops", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        common = [
            *SETTINGS[arguments.model],
            "data.validation_questions=100",
            "trainer.max_epochs=1",
            "trainer.val_check_interval=1.0",
            "train.stop_at=null",
            f"paths.cache={folder}/cache",
        ]
        step_s, save_s = hooks_share(common, folder)
        time_to_exit(common, folder, arguments.stops, step_s, save_s)


def hooks_share(common: list[str], folder: str) -> tuple[float, float]:
    """Print the hooks' share of a training's time; return the seconds of a step and of a save."""
    spent: dict[str, float] = {}
    for cls, names in HOOKS.items():
        for name in names:
            setattr(cls, name, timed(getattr(cls, name), f"{cls.__name__}.{name}", spent))
    saves: list[float] = []
    write = DurableCheckpointIO.save_checkpoint

    def timed_write(self: DurableCheckpointIO, *arguments: Any, **options: Any) -> None:
        started = time.perf_counter()
        write(self, *arguments, **options)
        saves.append(time.perf_counter() - started)

    DurableCheckpointIO.save_checkpoint = timed_write  # type: ignore[method-assign]
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        # Without a save within the training, to measure only the hooks.
        settings = [*common, "train.progress=none"]
        train(checked(compose("train", [*settings, f"paths.runs={folder}/a"])))
        hooks = dict(spent)
        frequent = ["checkpoint.every_n_minutes=0.01", "train.resume=never"]
        saves.clear()
        train(checked(compose("train", [*settings, f"paths.runs={folder}/b", *frequent])))
    (record_path,) = Path(folder, "a").glob("*/*/run.json")
    record = json.loads(record_path.read_text())
    train_s, steps = record["train_s"], record["steps"]
    for name, seconds in sorted(hooks.items()):
        print(f"{name:<42}{1e6 * seconds / steps:>9.1f} us per step  {seconds / train_s:>8.3%}")
    total = sum(hooks.values())
    print(f"all hooks: {total / train_s:.3%} of {train_s:.1f} s of training, {steps} steps")
    save_s = statistics.median(saves)
    print(f"one save: {save_s:.3f} s (median of {len(saves)}); every 5 minutes: {save_s / 300:.3%}")
    return train_s / steps, save_s


def timed(hook: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    """The hook, adding its seconds to `spent`."""

    def wrapped(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return hook(*arguments, **options)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - started

    return wrapped


def time_to_exit(common: list[str], folder: str, stops: int, step_s: float, save_s: float) -> None:
    """Stop one training repeatedly at random times; print how long it took to save and to exit."""
    draw = random.Random(1)
    to_save, to_exit = [], []
    command = [sys.executable, str(ROOT / "train.py"), *common, f"paths.runs={folder}/c"]
    command += ["trainer.max_epochs=1000"]
    for _ in range(stops):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("First step starts"):
                break
        time.sleep(2 + 3 * draw.random())
        requested = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        saved = None
        for line in process.stderr:
            if line.startswith("Saved step"):
                saved = time.perf_counter() - requested
        process.wait()
        if process.returncode == 128 + signal.SIGTERM and saved is not None:
            to_save.append(saved)
            to_exit.append(time.perf_counter() - requested)
    print(f"a step takes {step_s:.3f} s on average, a save {save_s:.3f} s")
    for name, values in (("saved", to_save), ("exited", to_exit)):
        shown = f"median {statistics.median(values):.3f} s, at most {max(values):.3f} s"
        print(f"{name} after SIGTERM: {shown} ({len(values)} stops)")


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
