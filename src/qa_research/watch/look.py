"""One look into a network while it answers a question: a recording with a single step, as page and pictures.

What `ask --look`, and `watch` of a model that is no run, write: start and end scores of each token, the trace
of one hidden unit by token, attention of every head. The span that pages and figures mark is the network's
own answer.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from qa_research.capture.forward import forward_watched
from qa_research.capture.looking import record_look, shares, windows_of_answers
from qa_research.capture.recorders.activations import ActivationsRecorder
from qa_research.capture.recorders.attention import AttentionRecorder, ReturnedAttentionRecorder
from qa_research.capture.recorders.logits import LogitsRecorder
from qa_research.capture.recorders.recorder import Recorder
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.capture.sites import FINAL, Anatomy
from qa_research.figures.attention import attention_of_heads
from qa_research.figures.logits import logits_at_three_steps, unit_by_token
from qa_research.figures.saving import save_figure
from qa_research.files import readable_name, write_text, written_folder
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import asked_question
from qa_research.tasks.answering.trained import TrainedAnswerer
from qa_research.tasks.answering.watched import WatchedQuestions
from qa_research.text import print_line, print_note
from qa_research.watch.film import ASKED, ATTENTION_BYTES, Film
from qa_research.watch.page import film_page
from qa_research.watch.story import film_of
from qa_research.watch.strip import film_strip

PAGE, STRIP = "look.html", "look"
# In a layer, the outputs of all heads, and what the layer passes on.
SITES = ["context", "layer_output"]


@dataclass(frozen=True)
class Look:
    """What one look found and wrote. `unit`: whose trace is drawn; `notes`: what could not be shown."""

    answer: Answer
    unit: int
    share: float
    page: Path
    figures: tuple[Path, ...]
    recording: Path
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        return {
            "unit": self.unit,
            "share_of_start_logit": self.share,
            "page": str(self.page),
            "figures": [str(path) for path in self.figures],
            "recording": str(self.recording),
            "notes": list(self.notes),
        }


def looks_folder(opened: TrainedAnswerer, question: str, context: str) -> Path:
    """Where a look goes unless told otherwise: each question about each text has a folder of its own."""
    asked = f"{question}\0{context}".encode(errors="surrogatepass")
    digest = hashlib.sha256(asked).hexdigest()[:8]
    return opened.results / "looks" / f"{readable_name(question, 40)}-{opened.label}-{digest}"


def show_look(seen: Look) -> None:
    """Where what was seen is."""
    for note in seen.notes:
        print_note(note)
    print_line(
        f"\nUnit {seen.unit} adds {seen.share:+.2f} to the start score of the answer's first token."
    )
    print_line(f"Page     {seen.page}\nFigures  {len(seen.figures)} in {seen.page.parent}")


def look_at(
    opened: TrainedAnswerer,
    question: str,
    context: str,
    unit: int | None,
    folder: Path,
    picture_format: str = "png",
) -> Look:
    """Ask, look, and write the page, the pictures and the recording into `folder`; all or nothing.

    `unit`: whose trace is drawn; None: the one that adds most to, or takes most from, the start score of the
    answer's first token. `picture_format`: png, svg or pdf.

    Raises:
        ValueError: the question or the context is empty, or the network has no such unit.
    """
    answer = opened.ask(question, context)
    row = asked_question(question, context)
    watched = windows_of_answers(opened, [(ASKED, row)], [answer])
    values = forward_watched(opened.network, watched, opened.step or 0, [FINAL]).values[FINAL][0]
    found = shares(opened, values[watched.spans[0, 0]])
    if unit is None:
        unit = int(found.abs().argmax())
    elif not 0 <= unit < len(found):
        raise ValueError(f"--unit {unit}: the units of this network are 0 to {len(found) - 1}")
    recorders, notes = _recorders(opened, watched, unit)
    with written_folder(folder, replace=True) as new:
        recording = record_look(opened, watched, recorders, new / RECORDING)
        film = film_of(recording, 0)
        assert isinstance(film, Film)
        write_text(new / PAGE, film_page(film, f"{opened.name}, {opened.label}"))
        names = []
        for name, figure in [(STRIP, film_strip(film)), *_figures(recording, unit, values)]:
            names.append(f"{name}.{picture_format}")
            save_figure(figure, new / names[-1])
    return Look(
        answer=answer,
        unit=unit,
        share=float(found[unit]),
        page=folder / PAGE,
        figures=tuple(folder / name for name in names),
        recording=folder / RECORDING,
        notes=notes,
    )


def _recorders(
    opened: TrainedAnswerer, watched: WatchedQuestions, unit: int
) -> tuple[dict[str, Recorder], tuple[str, ...]]:
    """What can be recorded of this network, and what not, as sentences."""
    recorders: dict[str, Recorder] = {"logits": LogitsRecorder()}
    try:
        anatomy = Anatomy(opened.network)
    except ValueError:
        kind = opened.network.config.model_type
        recorders["attention"] = ReturnedAttentionRecorder()
        note = f"Units inside the layers of a network of the type {kind} are not shown: where is not known."
        return recorders, (note,)
    notes = []
    each = anatomy.heads * watched.mask.shape[1] ** 2
    fit = max(1, ATTENTION_BYTES // each)
    layers = None if fit >= anatomy.layers else list(range(anatomy.layers - fit, anatomy.layers))
    if layers is not None:
        notes.append(
            f"Attention is shown of the last {fit} of {anatomy.layers} layers: the window is long."
        )
    recorders["attention"] = AttentionRecorder(layers, "float16")
    if unit < anatomy.hidden_size:
        recorders["activations"] = ActivationsRecorder(SITES, [0, -1], [unit], "float32")
    return recorders, tuple(notes)


def _figures(
    recording: Recording, unit: int, final: Float[Tensor, "token unit"]
) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of all that was seen."""
    tokens = [str(token) for token in recording.questions[0]["tokens"]]
    logits = _marked(recording.read("logits"))
    yield "logits", logits_at_three_steps(logits, 0, tokens)
    trace = final[:, unit].numpy()[None, None, :, None]
    long_name = "what the output layer reads"
    into_head = logits.assign(
        final=(("step", "question", "token", "unit"), trace, {"long_name": long_name})
    ).assign_coords(unit=("unit", np.array([unit], dtype=np.int32)))
    yield f"unit_{unit}_final", unit_by_token(into_head, "final", 0, unit, tokens)
    if "activations" in recording.recorders:
        inside = _marked(recording.read("activations"))
        for site in SITES:
            yield f"unit_{unit}_{site}", unit_by_token(inside, site, 0, unit, tokens)
    if "attention" in recording.recorders:
        yield "attention", attention_of_heads(_marked(recording.read("attention")), 0, tokens)


def _marked(data: xr.Dataset) -> xr.Dataset:
    """The same; figures call the span that they mark what it is."""
    return data.assign_attrs(span="the answer")
