"""Our recording against icechunk, a transactional store for zarr: python benchmarks/recording_store.py.

Both write the arrays of the same captures, with the same chunks and codecs: those of capture=default for
four questions of 128 tokens in a network of the size of MiniLM (6 layers, 12 heads, 384 units), from a seed.
Every capture is committed; `ours, as a training writes` commits every ten seconds, and `ours, durable` also
syncs the disk, so that a power cut loses nothing either.

Then a process that appends without end is killed ten times (SIGKILL) at random moments, and the store is
reopened: every commit that was reported must be there, with the right values, and appending goes on. Then
the store is cut back to half of its captures. Last, plain xarray.open_zarr is asked to open it.

icechunk is not a dependency: pip install --target DIR --no-deps icechunk, and PYTHONPATH=DIR.
"""

import argparse
import importlib
import importlib.util
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
import zarr

from qa_research.capture.recording.arrays import LAYOUT, Array, captures_per_chunk
from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter

Captured = Mapping[str, Mapping[str, Array]]
ABOUT: dict[str, Any] = {"questions": [{"id": f"q{i}"} for i in range(4)]}
KILLS = 10
MB = 1e6


def capture(step: int) -> Captured:
    """The arrays of a capture, which follow from the step."""
    draw = np.random.default_rng(step)
    scores = draw.normal(size=(4, 2, 12, 128, 128)).astype(np.float32)
    weight = np.exp(2 * scores)
    weight /= weight.sum(axis=-1, keepdims=True)

    def array(axes: str, *shape: int) -> Array:
        return Array(tuple(axes.split()), draw.normal(size=shape).astype("f4"), "1", axes)

    axes = ("question", "layer", "head", "query", "key")
    return {
        "logits": {
            "logit": array("question row token", 4, 2, 128),
            "loss": array("question row", 4, 2),
            "probability": array("question", 4),
            "answer_probability": array("question", 4),
        },
        "head_weights": {
            "weight": array("row unit", 2, 384),
            "change": array("measure row unit", 3, 2, 384),
        },
        "attention": {"weight": Array(axes, weight.astype(np.float16), "probability", "attention")},
        "heads": {
            "entropy": array("question layer head", 4, 6, 12),
            "distance": array("question layer head", 4, 6, 12),
            "group_weight": array("question layer head source target", 4, 6, 12, 8, 7),
        },
        "attribution": {
            "unit_share": array("question row unit", 4, 2, 384),
            "layer_share": array("question row component", 4, 2, 14),
        },
    }


class Store(Protocol):
    """A place for captures. The constructor opens what exists, and continues it."""

    def append(self, step: int, captured: Captured) -> None:
        """Add a capture and commit it."""

    def finish(self) -> None:
        """Commit what is not committed yet."""

    def steps(self) -> list[int]:
        """The committed steps of the logits, read from disk."""

    def read(self, index: int) -> np.ndarray[Any, Any]:
        """The attention of one capture, read from disk."""

    def cut_back(self, step: int) -> None:
        """Drop the captures after `step`."""


class Ours:
    """The recording, flushed after every capture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists():
            self.cut_back(sys.maxsize)
        else:
            self.writer = RecordingWriter(path, ABOUT, {})

    def append(self, step: int, captured: Captured) -> None:
        self.writer.append(step, captured)
        self.writer.flush()

    def finish(self) -> None:
        self.writer.flush()

    def steps(self) -> list[int]:
        found: list[int] = Recording(self.path).read("logits")["step"].values.tolist()
        return found

    def read(self, index: int) -> np.ndarray[Any, Any]:
        return np.asarray(Recording(self.path).read("attention")["weight"][index].values)

    def cut_back(self, step: int) -> None:
        self.writer = RecordingWriter(self.path, ABOUT, {}, resume_at=step)


class OursAsUsual(Ours):
    """The recording as a training writes it: the writer decides when to flush."""

    def append(self, step: int, captured: Captured) -> None:
        self.writer.append(step, captured)


class OursDurable(Ours):
    """The recording, synced after every capture."""

    def append(self, step: int, captured: Captured) -> None:
        self.writer.append(step, captured)
        self.writer.sync()


class Icechunk:
    """An icechunk repository on the local disk, a commit for each capture."""

    def __init__(self, path: Path) -> None:
        icechunk: Any = importlib.import_module("icechunk")
        # It warns that its local storage is not safe for concurrent commits; there are none here.
        icechunk.set_logs_filter("error")
        storage = icechunk.local_filesystem_storage(str(path))
        self.repository = icechunk.Repository.open_or_create(storage)

    def append(self, step: int, captured: Captured) -> None:
        session = self.repository.writable_session("main")
        root = zarr.open_group(session.store, mode="a")
        for name, arrays in captured.items():
            group = root.require_group(name)
            steps = Array((), np.array(step, np.int64), "steps", "optimizer step")
            for key, array in {"step": steps, **arrays}.items():
                self._append(group, key, array)
        session.commit(str(step))

    def finish(self) -> None:
        pass

    def _append(self, group: zarr.Group, key: str, array: Array) -> None:
        values = array.values
        if key not in group:
            group.create_array(
                key,
                shape=(0, *values.shape),
                chunks=(captures_per_chunk(values.nbytes), *values.shape),
                dtype=values.dtype,
                fill_value=np.nan if values.dtype.kind == "f" else -1,
                dimension_names=("step", *array.axes),
                attributes={"units": array.units, "long_name": array.long_name},
                compressors=LAYOUT["compressors"],
                config=LAYOUT["config"],
            )
        stored: Any = group[key]
        count = stored.shape[0]
        stored.resize((count + 1, *values.shape))
        stored[count] = values

    def steps(self) -> list[int]:
        return [int(step) for step in self._read("logits/step")[...]]

    def read(self, index: int) -> np.ndarray[Any, Any]:
        return np.asarray(self._read("attention/weight")[index])

    def _read(self, name: str) -> Any:
        return zarr.open_group(self.repository.readonly_session("main").store, mode="r")[name]

    def cut_back(self, step: int) -> None:
        for snapshot in self.repository.ancestry(branch="main"):
            if snapshot.message.isdecimal() and int(snapshot.message) <= step:
                self.repository.reset_branch("main", snapshot.id)
                return


STORES: dict[str, Callable[[Path], Store]] = {
    "ours": Ours,
    "ours, as a training writes": OursAsUsual,
    "ours, durable": OursDurable,
    "icechunk": Icechunk,
}
# What the others do is the same after a kill.
KILLED = ("ours", "icechunk")


def endless(name: str, path: Path) -> None:
    """Append captures until killed, and print every committed step."""
    store = STORES[name](path)
    step = max(store.steps()) if path.exists() and any(path.iterdir()) else -1
    while True:
        step += 1
        store.append(step, capture(step))
        print(step, flush=True)


def survives_kills(name: str, path: Path) -> str:
    """Kill a process that appends, again and again; what is wrong afterwards."""
    draw = random.Random(0)
    STORES[name](path).append(0, capture(0))
    for kill in range(KILLS):
        command = [sys.executable, __file__, "--worker", name, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            reported = [int(process.stdout.readline())]
            time.sleep(draw.uniform(0, 1))
            process.send_signal(signal.SIGKILL)
            reported += [int(line) for line in process.stdout if line.endswith("\n")]
        store = STORES[name](path)
        steps = store.steps()
        if steps != list(range(len(steps))) or steps[-1] < reported[-1]:
            return f"kill {kill + 1} lost commits: {steps[-1]} instead of {reported[-1]}"
        for index in (0, -1):
            if not np.array_equal(
                store.read(index), capture(steps[index])["attention"]["weight"].values
            ):
                return f"kill {kill + 1} left wrong values"
    return f"{KILLS} of {KILLS}"


def opens(path: Path) -> str:
    """Whether plain xarray opens it."""
    try:
        return f"yes, {xr.open_zarr(path, group='logits', consolidated=False).sizes['step']} steps"
    except Exception as error:
        return f"no ({type(error).__name__})"


def size_mb(path: Path) -> float:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / MB


def measure(name: str, folder: Path, captures: list[Captured]) -> dict[str, Any]:
    """Everything that is compared, for one store."""
    path = folder / "captures"
    store, took = STORES[name](path), []
    for step, captured in enumerate(captures):
        started = time.perf_counter()
        store.append(step, captured)
        took.append(time.perf_counter() - started)
    store.finish()
    found: dict[str, Any] = {"ms": 1000 * statistics.median(took[1:]), "mb": size_mb(path)}
    started = time.perf_counter()
    STORES[name](path).cut_back(len(captures) // 2 - 1)
    found["cut_ms"] = 1000 * (time.perf_counter() - started)
    found["cut_steps"] = len(STORES[name](path).steps())
    found["cut_mb"] = size_mb(path)
    found["xarray"] = opens(path)
    found["kills"] = survives_kills(name, folder / "killed") if name in KILLED else "-"
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--captures", type=int, default=40)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        endless(arguments.worker[0], Path(arguments.worker[1]))
    names = list(STORES)
    if importlib.util.find_spec("icechunk") is None:
        print("icechunk is not installed and is skipped; see the top of this file", file=sys.stderr)
        names.remove("icechunk")
    captures = [capture(step) for step in range(arguments.captures)]
    raw = sum(a.values.nbytes for group in captures[0].values() for a in group.values()) / MB
    print(f"{len(captures)} captures of {raw:.1f} MB before compression; times are medians")
    results = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, Path(folder), captures)
        found, ours = results[name], results["ours"]
        print(
            f"{name}: a capture {found['ms']:.1f} ms ({found['ms'] / ours['ms']:.2f} x ours), "
            f"{found['mb']:.0f} MB ({found['mb'] / ours['mb']:.2f} x); cut back to {found['cut_steps']} "
            f"captures in {found['cut_ms']:.0f} ms, then {found['cut_mb']:.0f} MB; kills survived: "
            f"{found['kills']}; opened by plain xarray: {found['xarray']}"
        )


if __name__ == "__main__":
    main()
