"""A film as one self-contained HTML file, which works offline."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.pages.html import one_file
from qa_research.runs.patched import PatchedQuestion
from qa_research.tasks.answering.windows import pieces
from qa_research.watch.example import ExampleFilm
from qa_research.watch.film import (
    FULL,
    NOT_A_NUMBER,
    Film,
    FilmAttention,
    FilmHeads,
    as_weights,
    moved_most,
)

DECIMALS = 5
KIT = ("kit.css", "charts.css", "page.js", "charts.js")
INDEX = "index.html"
SCRIPTS = ("film.js", "film_attention.js", "film_patching.js", "film_controls.js")
EXAMPLE_SCRIPTS = ("example.js", *SCRIPTS[1:])


@dataclass(frozen=True)
class FilmLink:
    """Another film beside this one: its file's name, and its question."""

    href: str
    question: str


def film_page(
    film: Film,
    run: str,
    before: FilmLink | None = None,
    after: FilmLink | None = None,
    patched: PatchedQuestion | None = None,
) -> str:
    """The page: a slider over the captures, and for each the answer, the losses and the attention.

    `run`: the run's name, for people. `before` and `after`: the films of the nearest watched questions.
    `patched`: what patching found of this one.
    All of the question's text is escaped, and the browser is told to run only this page's own script.
    It opens where the answer becomes right, at the head whose attention from the answer moved most; `#step=N`
    and `#layer=L&head=H` after its address open it elsewhere, `&shade=attention` with the head's text.
    """
    data = film_data(film) | ({} if patched is None else {"patching": _patching(patched)})
    values = {"run": run, "film": film, "data": data, "index": INDEX}
    values |= {"before": before, "after": after, "patched": patched}
    return one_file("qa_research.watch", "film.html.jinja", "film.css", SCRIPTS, values, kit=KIT)


def example_page(
    film: ExampleFilm, run: str, before: FilmLink | None = None, after: FilmLink | None = None
) -> str:
    """The same of an example: for each capture what the network says of it, the loss and the attention."""
    values = {"run": run, "film": film, "data": example_data(film), "index": INDEX}
    values |= {"before": before, "after": after}
    return one_file(
        "qa_research.watch", "example.html.jinja", "film.css", EXAMPLE_SCRIPTS, values, kit=KIT
    )


def example_data(film: ExampleFilm) -> dict[str, Any]:
    """What the example's script reads; see `film_data`. `scores`: [row][step]."""
    own = [token for token, (first, last) in enumerate(film.chars) if first < last]
    segments = pieces(film.text, [film.chars[token] for token in own])
    captures = range(len(film.steps))
    right = [None if film.is_number else bool(film.right[i]) for i in captures]
    # What attention is looked at from when the page opens.
    looked_at = film.marked or (0,)
    return {
        "question": film.question,
        "says": film.says,
        "rows": list(film.rows),
        "true": film.true if film.is_number else int(film.true),
        "tokens": list(film.tokens),
        "parts": list(film.parts),
        "marked": list(film.marked),
        "segments": [[text, None if i is None else own[i]] for text, i in segments],
        "steps": film.steps.tolist(),
        "scores": _numbers(film.scores.T),
        "loss": _numbers(film.loss),
        "answers": [{"text": film.answer_text(i), "right": right[i]} for i in captures],
        "first_right": film.first_right,
        "settled": film.settled,
        "opening": film.opening,
        "attention": None
        if film.attention is None
        else _attention(film.attention, (looked_at[0], looked_at[-1])),
        "heads": None if film.heads is None else _heads(film.heads),
    }


def film_data(film: Film) -> dict[str, Any]:
    """What the page's script reads, as JSON's values: numbers to five decimals, null if not finite.

    Indices, such as `first_right` and those of tokens, count from 0. A capture of attention is the base64 of
    its bytes [layer, head, query, key]; byte b stands for (b / full)^2.
    """
    answers = []
    for capture in range(len(film.steps)):
        first, last = film.answer_span(capture)
        answers.append(
            {
                "first": first,
                "last": last,
                "text": film.answer_text(capture),
                "right": bool(film.right[capture]),
                "rank": int(film.rank[capture]),
            }
        )
    return {
        "question": film.question,
        "asked": film.is_asked,
        "true_texts": list(film.true_texts),
        "truth": list(film.truth),
        "tokens": list(film.text.tokens),
        "parts": list(film.text.parts),
        "segments": [list(piece) for piece in film.text.context_pieces()],
        "steps": film.steps.tolist(),
        "start": _numbers(film.start),
        "end": _numbers(film.end),
        "loss": {"start": _numbers(film.loss[:, 0]), "end": _numbers(film.loss[:, 1])},
        "answers": answers,
        "answer_probability": _numbers(film.answer_probability),
        "true_probability": _numbers(film.true_probability),
        "first_right": film.first_right,
        "settled": film.settled,
        "opening": film.opening,
        "attention": None if film.attention is None else _attention(film.attention, film.truth),
        "heads": None if film.heads is None else _heads(film.heads),
    }


def _attention(attention: FilmAttention, truth: tuple[int, int]) -> dict[str, Any]:
    """`opening`: the layer and the head, by index, whose attention from the true answer moved most."""
    opening = (0, 0)
    if len(attention.steps):
        ends = attention.weights[[0, -1], :, :, truth[0] : truth[1] + 1]
        opening = moved_most(*as_weights(ends))
    return {
        "opening": list(opening),
        "steps": attention.steps.tolist(),
        "layers": list(attention.layers),
        "heads": attention.weights.shape[2],
        "full": FULL,
        "not_a_number": NOT_A_NUMBER,
        "captures": [base64.b64encode(capture.tobytes()).decode() for capture in attention.weights],
    }


def _heads(heads: FilmHeads) -> dict[str, Any]:
    return {
        "steps": heads.steps.tolist(),
        "layers": list(heads.layers),
        "entropy": _numbers(heads.entropy),
        "distance": _numbers(heads.distance),
    }


def _patching(patched: PatchedQuestion) -> dict[str, Any]:
    """`leads`: [step][name], in logits; see `PatchedQuestion`."""
    return {
        "steps": list(patched.steps),
        "clean": _numbers(np.array(patched.clean)),
        "corrupted": _numbers(np.array(patched.corrupted)),
        "names": list(patched.names),
        "leads": _numbers(np.array(patched.leads)),
    }


def _numbers(values: NDArray[np.float64]) -> list[Any]:
    plain = np.round(values, DECIMALS).astype(object)
    plain[~np.isfinite(values)] = None
    numbers: list[Any] = plain.tolist()
    return numbers
