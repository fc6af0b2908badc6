"""Ours beside py-spy and traceml-ai: python benchmarks/stacks_contestants.py [--rounds 3] [--steps 300]

The default training of the built-in questions: without anything, sampled by `qa-research stacks` and by
`py-spy record`, each ten times a second, and run by `traceml run`; in turn, each round begins with another.
Printed are the seconds of a step (of run.json, so without start-up and validations) as ratios to those
without. `--py-spy` and `--traceml` name their programs, which may be of another environment: PYTHONPATH leads
to this one. `--keep DIR` keeps what each says.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
TRAIN = [sys.executable, str(HERE / "train.py")]


def ways(py_spy: str, traceml: str, place: Path) -> dict[str, list[str]]:
    """What stands before the training's own words, by the name of the way."""
    ours = "from qa_research.cli.main import main; main()"
    return {
        "none": TRAIN,
        "qa-research": [sys.executable, "-c", ours, "stacks", "--", *TRAIN],
        "py-spy": [
            *(
                py_spy,
                "record",
                "--rate",
                "10",
                "--format",
                "raw",
                "--output",
                f"{place}/py-spy.txt",
            ),
            *("--", *TRAIN),
        ],
        "traceml": [traceml, "run", "--logs-dir", f"{place}/traceml", TRAIN[1], "--args"],
    }


def train(words: list[str], runs: Path, steps: int, log: Path) -> float:
    """The seconds of a step of one training."""
    settings = [
        *(
            "capture=none",
            "train.stop_at=null",
            "train.progress=none",
            f"trainer.max_steps={steps}",
        ),
        *("trainer.val_check_interval=1.0", "model.warmup_fraction=0.1", f"paths.runs={runs}"),
        "data.validation_questions=100",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("w") as stream:
        command = [*words, *settings]
        subprocess.run(command, stdout=stream, stderr=stream, env=environment, cwd=HERE, check=True)
    (record,) = runs.glob("*/*/run.json")
    read = json.loads(record.read_text())
    return float(read["train_s"]) / int(read["steps"])


def main() -> None:
    """Print a table of ratios, and the end of what each said."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--py-spy", default="py-spy")
    parser.add_argument("--traceml", default="traceml")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        found: dict[str, list[float]] = {}
        for turn in range(arguments.rounds):
            known = ways(arguments.py_spy, arguments.traceml, place / str(turn))
            names = [*known][turn % len(known) :] + [*known][: turn % len(known)]
            for name in names:
                runs = Path(temporary) / f"{turn}-{name}"
                log = place / f"{turn}-{name}.log"
                (place / str(turn)).mkdir(exist_ok=True)
                found.setdefault(name, []).append(train(known[name], runs, arguments.steps, log))
                print(
                    f"round {turn + 1}: {name} {1000 * found[name][-1]:.1f} ms a step", flush=True
                )
    for name, seconds in found.items():
        ratios = [one / other for one, other in zip(seconds, found["none"], strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"{name:<12} {statistics.median(ratios):.3f} times a step without ({spread})")


if __name__ == "__main__":
    main()
