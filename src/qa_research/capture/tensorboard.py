"""Pictures for TensorBoard: arrays -> pixels, faster than a figure can be drawn.

What TensorBoard shows of captures: curves, distributions, pictures, and vectors to walk among.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor

from qa_research.capture.forward import FINAL, Forward
from qa_research.capture.recorders.recorder import Recorder
from qa_research.capture.recording.arrays import Array
from qa_research.capture.watched import PARTS, Watched

GAP = 4
# From white over blue to nearly black, so that dark means much on paper and on the screen.
_COLOURS = np.array([[255, 255, 255], [107, 174, 214], [8, 48, 107]], dtype=np.float32)


def mosaic(
    maps: Float[np.ndarray, "row column height width"],
) -> UInt8[np.ndarray, "y x channel"]:
    """Maps of values between 0 and 1 beside and below each other; what is NaN in all of them is cut off."""
    seen = ~np.isnan(maps).all(axis=(0, 1))
    height, width = (int(seen.any(axis=axis).sum()) for axis in (1, 0))
    kept = np.nan_to_num(maps[:, :, : max(height, 1), : max(width, 1)])
    rows, columns, height, width = kept.shape
    picture = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 200, dtype=np.uint8
    )
    for row in range(rows):
        for column in range(columns):
            y, x = row * (height + GAP), column * (width + GAP)
            picture[y : y + height, x : x + width] = _coloured(kept[row, column])
    return picture


def _coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    place = np.sqrt(values.clip(0, 1)) * (len(_COLOURS) - 1)
    channels = [np.interp(place, range(len(_COLOURS)), channel) for channel in _COLOURS.T]
    return np.stack(channels, axis=-1).astype(np.uint8)


# Of a distribution; torch's own choice of some 1,500 takes a sixth of a capture's time.
BINS = 64
TOKENS, QUESTIONS = "watched_tokens", "watched_questions"


class Board:
    """Curves and distributions at every capture; pictures at the 1st, 2nd, 3rd, 5th, 9th, 17th ... one, as
    they are large and TensorBoard keeps few; vectors at the last one.
    """

    def __init__(self, logger: TensorBoardLogger, watched: Watched) -> None:
        self.logger = logger
        self.watched = watched
        # Of the latest capture.
        self.curves: dict[str, float] = {}

    def show(
        self,
        step: int,
        count: int,
        recorders: Mapping[str, Recorder],
        captured: Mapping[str, Mapping[str, Array]],
        again: bool = False,
    ) -> None:
        """One capture, of which there have been `count` before.

        `again`: the latest one where a training goes on, as TensorBoard can only be cut before a step. Its
        curves are those of then; pictures and distributions are as the weights give them again, so that
        distributions of gradients are missing at that step.
        """
        with_pictures = count < 2 or (count & (count - 1)) == 0
        writer = self.logger.experiment
        curves: dict[str, float] = {}
        for name, arrays in captured.items():
            shown = recorders[name].summaries(arrays, with_pictures)
            curves |= shown.curves
            for tag, values in shown.histograms.items():
                writer.add_histogram(tag, values, step, bins=BINS)
            for tag, picture in shown.pictures.items():
                writer.add_image(tag, picture, step, dataformats="HWC")
        if not again:
            self.curves = curves
        for tag, value in self.curves.items():
            writer.add_scalar(tag, value, step)

    def project(self, forward: Forward) -> None:
        """What the head reads of every watched token, and of each question's [CLS], for the projector.

        As files of the projector's format: `SummaryWriter.add_embedding` opens its file anew for every row.
        """
        values = forward.values[FINAL]
        rows = zip(self.watched.questions, self.watched.tokens, self.watched.parts, strict=True)
        tokens = [
            (token, PARTS[part], row.id, row.kind)
            for row, words, parts in rows
            for token, part in zip(words, parts, strict=False)
        ]
        asked = [
            (row.question, row.kind, row.id, split)
            for row, split in zip(self.watched.questions, self.watched.splits, strict=True)
        ]
        folder = Path(self.logger.log_dir)
        config = [
            _write_vectors(folder, tag, forward.step, vectors, [header, *labels])
            for tag, vectors, header, labels in (
                (TOKENS, values[self.watched.mask], ("token", "part", "question", "kind"), tokens),
                (QUESTIONS, values[:, 0], ("question", "kind", "id", "split"), asked),
            )
        ]
        (folder / "projector_config.pbtxt").write_text("".join(config), encoding="utf-8")


def _write_vectors(
    folder: Path, tag: str, step: int, vectors: Tensor, labels: Sequence[Sequence[str]]
) -> str:
    """tensors.tsv and metadata.tsv in a folder of their own; what the projector's config says of them."""
    place = folder / "projector" / tag
    place.mkdir(parents=True, exist_ok=True)
    # In a table of tabs no word may hold one, or be nothing at all.
    plain = ("\t".join(" ".join(word.split()) or "?" for word in row) for row in labels)
    (place / "metadata.tsv").write_text("\n".join(plain) + "\n", encoding="utf-8")
    np.savetxt(place / "tensors.tsv", vectors.numpy(), fmt="%.6g", delimiter="\t")
    files = {"tensor_path": "tensors.tsv", "metadata_path": "metadata.tsv"}
    lines = [f'  {key}: "{(place / name).relative_to(folder)}"' for key, name in files.items()]
    return "\n".join(["embeddings {", f'  tensor_name: "{tag}:{step}"', *lines, "}", ""])
