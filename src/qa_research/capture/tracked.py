"""What a tracker gets of captures: curves, histograms, pictures, and vectors for TensorBoard's projector."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Captured, Recorder
from qa_research.capture.sites import FINAL
from qa_research.files import write_text, written_whole
from qa_research.tasks.watching import Watched
from qa_research.trackers.tracker import Tracker

# Tags in the projector.
TOKENS, QUESTIONS = "watched_tokens", "watched_questions"


class CaptureTracker:
    """Gives a tracker curves and histograms of every capture, pictures of a few, vectors of the last one.

    Pictures are large and TensorBoard keeps few, so they come with the captures 1, 2, 3, 5, 9, 17, ... and
    the last one; those that wait (see `TimeBudget`) with a later one, and the next when there are twice as
    many captures.
    """

    def __init__(self, tracker: Tracker, watched: Watched) -> None:
        self.tracker = tracker
        self.watched = watched
        # Of the latest capture.
        self.curves: dict[str, float] = {}
        # The latest capture with pictures: its step, and how many captures there were before it.
        self.drawn: dict[str, int] | None = None

    @property
    def drawn_step(self) -> int | None:
        """The step of the latest pictures, if it is known."""
        return self.drawn.get("step") if self.drawn else None

    def has_pictures(self, count: int) -> bool:
        """Whether the capture after `count` others comes with pictures: none, 1, 2, 4, 8 ..."""
        return self.drawn is None or count >= max(2 * self.drawn["count"], 1)

    def write(
        self,
        step: int,
        recorders: Mapping[str, Recorder],
        captured: Captured,
        again: bool = False,
    ) -> None:
        """Curves and histograms of one capture.

        `again`: the latest one of a resumed training, since TensorBoard can only hide whole steps. Its
        curves are those of the capture; pictures and histograms are made from the weights again, so
        histograms of gradients are missing at that step.
        """
        curves: dict[str, float] = {}
        for name, arrays in captured.items():
            shown = recorders[name].summaries(arrays, False)
            curves |= shown.curves
            for tag, values in shown.histograms.items():
                self.tracker.histogram(tag, values, step)
        if not again:
            self.curves = curves
        self.tracker.curves(self.curves, step)

    def draw(
        self, step: int, recorders: Mapping[str, Recorder], captured: Captured, count: int
    ) -> None:
        """The pictures of one capture, which `count` others came before."""
        for name, arrays in captured.items():
            for tag, picture in recorders[name].summaries(arrays, True).pictures.items():
                self.tracker.picture(tag, picture, step)
        self.drawn = {"step": step, "count": count}

    def write_projector(self, forward: Forward) -> None:
        """What the head reads at every watched token, and of each example: at its first token, [CLS].

        A head that reads one vector of each example has only those.

        As files in the projector's format, because `SummaryWriter.add_embedding` reopens its file for
        every row.
        """
        folder = self.tracker.folder
        if folder is None:
            return
        values = forward.values[FINAL]
        config, rows = "", self.watched.examples
        if values.ndim == 3:
            token_labels = [
                (token, part, row.id, row.kind)
                for row in rows
                for token, part in zip(row.tokens, row.parts, strict=True)
            ]
            config = _write_vectors(
                folder,
                TOKENS,
                forward.step,
                values[self.watched.mask],
                [("token", "part", "question", "kind"), *token_labels],
            )
        labels = [(row.heading, row.kind, row.id, row.split) for row in rows]
        config += _write_vectors(
            folder,
            QUESTIONS,
            forward.step,
            values[:, 0] if values.ndim == 3 else values,
            [("question", "kind", "id", "split"), *labels],
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
