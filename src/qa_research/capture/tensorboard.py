"""What TensorBoard shows of captures: curves, histograms, attention pictures, vectors for its projector."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Captured, Recorder
from qa_research.capture.sites import FINAL
from qa_research.capture.watched import Watched
from qa_research.files import write_text, written_whole

# Of a histogram; torch's default of about 1,500 takes a sixth of a capture's time.
BINS = 64
# Tags in the projector.
TOKENS, QUESTIONS = "watched_tokens", "watched_questions"
# Pixels between the maps of a mosaic, and their colour scale: from white over blue to nearly black.
GAP = 4
SCALE = np.array([[255, 255, 255], [107, 174, 214], [8, 48, 107]], dtype=np.float32)


class TensorBoardWriter:
    """Writes curves and histograms of every capture, pictures of a few, and vectors of the last one.

    Pictures are large and TensorBoard keeps few, so they come with the captures 1, 2, 3, 5, 9, 17, ...
    """

    def __init__(self, logger: TensorBoardLogger, watched: Watched) -> None:
        self.logger = logger
        self.watched = watched
        # Of the latest capture.
        self.curves: dict[str, float] = {}

    def write(
        self,
        step: int,
        count: int,
        recorders: Mapping[str, Recorder],
        captured: Captured,
        again: bool = False,
    ) -> None:
        """One capture, after `count` others.

        `again`: the latest one of a resumed training, since TensorBoard can only purge whole steps. Its
        curves are those of the capture; pictures and histograms are made from the weights again, so
        histograms of gradients are missing at that step.
        """
        # Counted from 0: 0, 1, and the powers of two.
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

    def write_projector(self, forward: Forward) -> None:
        """What the head reads at every watched token, and at each question's [CLS].

        As files in the projector's format, because `SummaryWriter.add_embedding` reopens its file for
        every row.
        """
        values = forward.values[FINAL]
        rows = list(
            zip(self.watched.questions, self.watched.splits, self.watched.texts, strict=True)
        )
        token_labels = [
            (token, part, row.id, row.kind)
            for row, _, text in rows
            for token, part in zip(text.tokens, text.parts, strict=True)
        ]
        question_labels = [(row.question, row.kind, row.id, split) for row, split, _ in rows]
        folder = Path(self.logger.log_dir)
        config = _write_vectors(
            folder,
            TOKENS,
            forward.step,
            values[self.watched.mask],
            [("token", "part", "question", "kind"), *token_labels],
        ) + _write_vectors(
            folder,
            QUESTIONS,
            forward.step,
            values[:, 0],
            [("question", "kind", "id", "split"), *question_labels],
        )
        write_text(folder / "projector_config.pbtxt", config)


def _write_vectors(
    folder: Path, tag: str, step: int, vectors: Tensor, labels: Sequence[Sequence[str]]
) -> str:
    """Write tensors.tsv and metadata.tsv to a folder of their own; their entry in the projector's config."""
    own = folder / "projector" / tag
    # A word in a table of tabs must not contain one, nor be empty.
    plain = ("\t".join(" ".join(word.split()) or "?" for word in row) for row in labels)
    write_text(own / "metadata.tsv", "\n".join(plain) + "\n")
    with written_whole(own / "tensors.tsv") as file:
        np.savetxt(file, vectors.numpy(), fmt="%.6g", delimiter="\t")
    files = {"tensor_path": "tensors.tsv", "metadata_path": "metadata.tsv"}
    lines = [f'  {key}: "{(own / name).relative_to(folder)}"' for key, name in files.items()]
    return "\n".join(["embeddings {", f'  tensor_name: "{tag}:{step}"', *lines, "}", ""])


def mosaic(maps: Float[np.ndarray, "row column height width"]) -> UInt8[np.ndarray, "y x channel"]:
    """Maps of values in [0, 1] as a grid of pictures; rows and columns that are NaN in all maps are removed.

    Pixels instead of a matplotlib figure, which would take most of a capture's time.
    """
    seen = ~np.isnan(maps).all(axis=(0, 1))
    height, width = (int(seen.any(axis=axis).sum()) for axis in (1, 0))
    kept = np.nan_to_num(maps[:, :, : max(height, 1), : max(width, 1)])
    # A gap to the right of each map and below it; the last ones are cut off again.
    gaps = [(0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)]
    cells = np.pad(_coloured(kept), gaps, constant_values=200)
    rows, columns, height, width, _ = cells.shape
    return cells.swapaxes(1, 2).reshape(rows * height, columns * width, 3)[:-GAP, :-GAP]


def _coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    # The square root makes small weights visible: 0.04 gets the colour at 0.2 of the scale.
    position = np.sqrt(values.clip(0, 1)) * (len(SCALE) - 1)
    channels = [np.interp(position, range(len(SCALE)), channel) for channel in SCALE.T]
    return np.stack(channels, axis=-1).astype(np.uint8)
