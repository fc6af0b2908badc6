"""Whether two checkouts behave the same: what trainings, recordings and verbs give, to the bit.

    python benchmarks/same_behaviour.py record CHECKOUT before.json
    python benchmarks/same_behaviour.py compare before.json after.json

`record` trains three small runs (`+experiment=smoke` with seeds 1 and 2, and 60 steps in float32 on one
thread with capture), then asks four verbs for JSON. Record both checkouts on the same machine: another
processor rounds differently. `compare` allows 1e-6 in numbers of `explain` and `attribute`, whose
surrogates may be fitted in float32, and nothing elsewhere.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

RUNS = {
    "smoke seed 1": ["+experiment=smoke", "seed=1"],
    "smoke seed 2": ["+experiment=smoke", "seed=2"],
    "60 steps": [
        "study=sixty",
        "trainer.precision=32-true",
        "train.threads=1",
        "trainer.max_steps=60",
        "data.validation_questions=100",
        "capture=everything",
        "capture.every_n_steps=20",
        # Whether a capture is due must not depend on how long the others took.
        "capture.max_step_fraction=1",
    ],
}
LOOSE = ("explain", "attribute")
TOLERANCE = 1e-6
# Times, places, names of runs and of classes, which may differ between any two checkouts.
PASSING = ("_s", "seconds", "command", "started", "finished", "directory", "path", "versions")
NAMES = ("run", "run_id", "files", "_target_")


def record(checkout: Path) -> dict[str, Any]:
    """Digests and JSON of everything that is compared."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        found: dict[str, Any] = {}
        directories: list[Path] = []
        for name, overrides in RUNS.items():
            print(f"training: {name}", file=sys.stderr)
            _run(checkout, work, "train", *overrides)
            (directory,) = set((work / "runs").glob("*/*/run.json")) - set(directories)
            directories.append(directory)
            found[name] = digests(directory.parent)
        run = str(directories[-1].parent)
        question = ["--question", "Who teaches group B?"]
        context = ["--context", "Group K meets in the barn. Ms Lund teaches group B."]
        verbs = {
            "evaluate": ["evaluate", run, "--json"],
            "efficacy": ["efficacy", run, "--questions", "100", "--json"],
            "attribute": ["attribute", run, *question, *context, "--json"],
            "explain": ["explain", "counterfactual.top=4", "--json"],
        }
        for name, words in verbs.items():
            print(f"asking: {name}", file=sys.stderr)
            found[name] = json.loads(_run(checkout, work, *words))
    return found


def digests(directory: Path) -> dict[str, Any]:
    """sha256 of a run's final weights, curves, predictions, and every array of its recording."""
    state = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    weights = hashlib.sha256()
    for name in sorted(state):
        weights.update(name.encode() + state[name].numpy().tobytes())
    found = {"weights": weights.hexdigest()}
    for name in ("metrics.csv", "predictions/validation.json"):
        found[name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    if (directory / "recording.zarr").exists():
        group = zarr.open_group(str(directory / "recording.zarr"), mode="r")
        for path, member in sorted(group.members(max_depth=None)):
            if isinstance(member, zarr.Array):
                values = np.asarray(member[...])
                found[f"recording/{path}"] = hashlib.sha256(values.tobytes()).hexdigest()
    return found


def differences(before: Any, after: Any, tolerance: float, place: str = "") -> list[str]:
    """Where two JSON values differ, one line each."""
    key = place.rpartition("/")[2]
    if key in NAMES or key.endswith(PASSING):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        lines = [f"{place}/{k}: gone" for k in before.keys() - after.keys()]
        lines += [f"{place}/{k}: new" for k in after.keys() - before.keys()]
        for k in sorted(before.keys() & after.keys()):
            lines += differences(before[k], after[k], tolerance, f"{place}/{k}")
        return lines
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for i, (b, a) in enumerate(zip(before, after, strict=True))
            for line in differences(b, a, tolerance, f"{place}/{i}")
        ]
    if isinstance(before, float) and isinstance(after, (int, float)):
        if before == after or abs(before - after) <= tolerance:
            return []
    elif before == after:
        return []
    return [f"{place}: {str(before)[:60]} -> {str(after)[:60]}"]


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Every difference between two recordings."""
    lines = []
    for part in before:
        tolerance = TOLERANCE if part in LOOSE else 0.0
        lines += differences(before[part], after.get(part), tolerance, part)
    return lines


def _run(checkout: Path, work: Path, *words: str) -> str:
    """What a verb of that checkout prints, with its own sources."""
    scripts = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["qa-research"].partition(":")
    code = f"import sys; from {module} import {function}; sys.argv[0] = 'qa-research'; {function}()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=work,
        env=os.environ | {"PYTHONPATH": str(checkout / "src"), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with exit code {done.returncode}")
    return done.stdout


def main() -> None:
    """The command line."""
    match sys.argv[1:]:
        case ["record", checkout, out]:
            Path(out).write_text(json.dumps(record(Path(checkout).resolve()), indent=1))
        case ["compare", before, after]:
            lines = compare(*(json.loads(Path(path).read_text()) for path in (before, after)))
            print("\n".join(lines) or "No difference.")
            sys.exit(1 if lines else 0)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
