"""A film as plain values that JSON can hold: what the page's script reads. Pure.

A film as one HTML file that needs nothing beside it: no network, no other file.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.pages.html import one_file
from qa_research.watch.film import FULL, NOT_A_NUMBER, Film, FilmAttention, FilmHeads

DECIMALS = 5


def film_data(film: Film) -> dict[str, Any]:
    """The film as JSON's values: numbers to five decimals, null where one is not finite.

    Indices, such as `first_right` and those of tokens, count from 0. An attention capture is the
    base64 of its bytes [layer, head, query, key], a byte b standing for (b / full)^2.
    """
    answers = [
        {
            "first": int(first),
            "last": int(last),
            "text": film.text(int(first), int(last)),
            "right": bool(film.right[i]),
            "rank": int(film.rank[i]),
        }
        for i, (first, last) in enumerate(film.answers)
    ]
    return {
        "question": film.question,
        "true_texts": list(film.true_texts),
        "truth": list(film.truth),
        "tokens": list(film.tokens),
        "parts": list(film.parts),
        "segments": [[segment.text, segment.token] for segment in film.segments],
        "steps": film.steps.tolist(),
        "start": _numbers(film.start),
        "end": _numbers(film.end),
        "loss": {"start": _numbers(film.loss[:, 0]), "end": _numbers(film.loss[:, 1])},
        "answers": answers,
        "answer_probability": _numbers(film.answer_probability),
        "true_probability": _numbers(film.true_probability),
        "first_right": film.first_right,
        "settled": film.settled,
        "attention": None if film.attention is None else _attention(film.attention),
        "heads": None if film.heads is None else _heads(film.heads),
    }


def _attention(attention: FilmAttention) -> dict[str, Any]:
    return {
        "steps": attention.steps.tolist(),
        "layers": list(attention.layers),
        "heads": attention.n_heads,
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


def _numbers(values: NDArray[np.float64]) -> list[Any]:
    plain = np.round(values, DECIMALS).astype(object)
    plain[~np.isfinite(values)] = None
    numbers: list[Any] = plain.tolist()
    return numbers


_SCRIPTS = ("film.js", "film_charts.js", "film_attention.js", "film_controls.js")


def film_page(film: Film, title: str) -> str:
    """The page: a slider over the captures, and for each the answer, the losses and the attention.

    All of the question's text is escaped, and the browser is told to run this page's own script
    alone. `#step=N`, `#layer=L&head=H` behind its address open it there.
    """
    values = {"title": title, "film": film, "data": film_data(film)}
    return one_file("qa_research.watch", "film.html.jinja", "film.css", _SCRIPTS, values)
