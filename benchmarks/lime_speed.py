"""Masks a second, compared with the package `lime` and captum: python benchmarks/lime_speed.py [PICTURE].

All explain the same class of the same picture with n masks, the same segments (found beforehand), grey
where one is off, and the same network, EfficientNet-Lite0. lime and captum get the network as its package
builds it. Ours runs with its surrogate fitted by captum, as in `explain`, and by scikit-learn directly. In
every round each runs once, in turn; ratios are within a round. lime runs with its default batch of 10 and
with the batch that is fastest here. Then the adaptive rule: how many masks one seed needs until ranks 4
and 5 are separate, and whether its top 4 are those of 5 x 1,000 masks.
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# lime draws a bar for every explanation.
os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import torch
from lime_contestants import (
    TOP,
    Contestant,
    by_captum,
    by_lime,
    by_us,
    by_us_with_scikit_learn,
    masked_picture,
    top_segments,
)
from numpy.typing import NDArray

from qa_research.explain.images.classifier import EfficientNetLite0
from qa_research.explain.images.picture import read_picture
from qa_research.explain.images.sampling import sample
from qa_research.explain.images.segments import Pixels, Quickshift, Segments, segmented
from qa_research.explain.images.settings import LimeSettings, TrustSettings
from qa_research.explain.images.weights import PACKAGED
from qa_research.explain.surrogate import ALPHA

BATCHES = (2, 4, 8, 16, 32)
LIMES_BATCH = 10
SEEDS_OF_ADAPTIVE = 10
OURS, BEFORE = "ours, float32", "ours, fit by scikit-learn"


def main() -> None:
    """Time all contestants in turn, and print ratios."""
    arguments = _arguments()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    pixels, segments = _picture(arguments.picture)
    batches = {kind: _fastest(pixels, segments, kind) for kind in ("float32", "bfloat16")}
    limes = _fastest_of_lime(pixels, segments)
    contestants: dict[str, Contestant] = {
        f"lime, batch {LIMES_BATCH} (its default)": by_lime(pixels, segments, LIMES_BATCH),
        f"lime, batch {limes} (its fastest)": by_lime(pixels, segments, limes),
        f"captum, batch {batches['float32']}": by_captum(pixels, segments, batches["float32"]),
        OURS: by_us(pixels, segments, "float32", batches["float32"]),
        BEFORE: by_us_with_scikit_learn(pixels, segments, "float32", batches["float32"]),
        f"ours, bfloat16, batch {batches['bfloat16']}": by_us(
            pixels, segments, "bfloat16", batches["bfloat16"]
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    tops: dict[str, list[list[int]]] = {name: [] for name in contestants}
    for number in range(arguments.rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            tops[name].append(run(arguments.masks, number))
            seconds[name].append(time.perf_counter() - start)
    report = {
        "machine": f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}",
        "batches": batches,
        "picture": arguments.picture,
        "segments": int(segments.max()) + 1,
        "masks": arguments.masks,
        "masks_per_second": {
            name: [arguments.masks / s for s in values] for name, values in seconds.items()
        },
        "top": tops,
        "adaptive": _adaptive(pixels, segments, batches["float32"]),
    }
    print(json.dumps(report, indent=2) if arguments.json else _render(report))


def _fastest(pixels: Pixels, segments: Segments, precision: str) -> int:
    return _best_batch(lambda batch: by_us(pixels, segments, precision, batch))


def _fastest_of_lime(pixels: Pixels, segments: Segments) -> int:
    return _best_batch(lambda batch: by_lime(pixels, segments, batch))


def _best_batch(make: Callable[[int], Contestant]) -> int:
    """The batch that takes least time for 96 masks, in the best of three attempts."""
    runs = {batch: make(batch) for batch in BATCHES}
    times: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    for attempt in range(3):
        for batch, run in runs.items():
            start = time.perf_counter()
            run(96, attempt)
            times[batch].append(time.perf_counter() - start)
    return min(BATCHES, key=lambda batch: min(times[batch]))


def _adaptive(pixels: Pixels, segments: Segments, batch: int) -> dict[str, Any]:
    masked = masked_picture(pixels, segments, "float32", batch)
    label = int(masked.predictions(np.ones((1, masked.n_segments), dtype=bool))[0].argmax())

    def predict(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(masked.predictions(masks)[:, label], dtype=np.float64)

    def settings(first: int) -> LimeSettings:
        return LimeSettings("grey", "ridge", ALPHA, 0.25, first, 50, 1000, False)

    whole = sample(
        predict, masked.n_segments, settings(1000), TrustSettings(TOP, 5, 0.95, 200, 0), 0
    )
    wanted = set(top_segments(whole.fit.coefficients))
    needed = []
    same = 0
    for seed in range(1, SEEDS_OF_ADAPTIVE + 1):
        one = TrustSettings(TOP, 1, 0.95, 200, 0)
        found = sample(predict, masked.n_segments, settings(50), one, seed)
        needed.append(found.samples)
        if set(top_segments(found.fit.coefficients)) == wanted:
            same += 1
    return {"masks_needed": needed, "same_top": same, "top_of_5000": sorted(wanted)}


def _picture(source: str) -> tuple[Pixels, Segments]:
    pixels = EfficientNetLite0(PACKAGED, "float32", 1, "squash").seen(read_picture(source).pixels)
    return pixels, segmented(Quickshift(6, 200, 0.2), pixels)


def _render(report: dict[str, Any]) -> str:
    speeds: dict[str, Sequence[float]] = report["masks_per_second"]
    tops = report["top"]
    reference = set(report["adaptive"]["top_of_5000"])
    lines = [
        f"{report['picture']}, {report['segments']} segments, {report['masks']} masks, {report['machine']}, "
        f"batches {report['batches']}",
        "masks a second (median, range); ratio to each lime (median of rounds, range); same top 4",
    ]
    limes = [name for name in speeds if name.startswith("lime")]
    for name, values in speeds.items():
        ratios = []
        for other in limes:
            pairs = [a / b for a, b in zip(values, speeds[other], strict=True)]
            ratios.append(f"{statistics.median(pairs):.2f} [{min(pairs):.2f}, {max(pairs):.2f}]")
        same = sum(set(top) == reference for top in tops[name])
        lines.append(
            f"{name:32} {statistics.median(values):5.0f} [{min(values):.0f}, {max(values):.0f}]   "
            f"{'   '.join(ratios)}   {same} of {len(values)}"
        )
    pairs = [a / b for a, b in zip(speeds[OURS], speeds[BEFORE], strict=True)]
    lines.append(
        f"fitted by captum / by scikit-learn: {statistics.median(pairs):.2f} "
        f"[{min(pairs):.2f}, {max(pairs):.2f}]"
    )
    needed = report["adaptive"]["masks_needed"]
    lines.append(
        f"adaptive, one seed: {statistics.median(needed):.0f} masks ({min(needed)} to {max(needed)}) until "
        f"ranks 4 and 5 are separate; the top 4 of 5 x 1,000 masks in {report['adaptive']['same_top']} of "
        f"{len(needed)}"
    )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("picture", nargs="?", default="sample", help="a file, or sample")
    parser.add_argument("--masks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.picture != "sample" and not Path(arguments.picture).is_file():
        parser.error(f"{arguments.picture} is not a file")
    return arguments


if __name__ == "__main__":
    main()
