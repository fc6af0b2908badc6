"""What the moving parts of a report read: curves, watched questions, one attention head; as JSON's values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.report.measures import Curve, RouteOverTime
from qa_research.report.sources import Source
from qa_research.tasks.task import PERCENT, Metric
from qa_research.watch.film import Film

DECIMALS = 3
# Of a long recording so many captures are shown at most, beside those around the turn.
MOST_CAPTURES = 60


def curves_data(
    runs: Sequence[Mapping[str, Curve]],
    names: Sequence[str],
    guessing: Mapping[str, float],
    metric: Metric,
) -> dict[str, Any]:
    """The curves of each run by kind. `least` and `most`: the ends of their axis, in the metric's unit."""
    kinds = list(dict.fromkeys(kind for curves in runs for kind in curves))
    if len(kinds) > 1:
        kinds.remove("all")
    least, most = _axis([curves[kind].values for curves in runs for kind in curves], metric)
    return {
        "names": list(names),
        "label": metric["label"],
        "least": least,
        "most": most,
        "charts": [
            {
                "kind": kind,
                "guessing": guessing.get(kind),
                "curves": [_curve(curves.get(kind)) for curves in runs],
            }
            for kind in kinds
        ],
    }


def _axis(values: Sequence[NDArray[np.float64]], metric: Metric) -> tuple[float, float]:
    """From 0 to 100 % or, in another unit, to the largest value; from below 0 if there are such values."""
    if metric["scale"] == PERCENT:
        return 0.0, PERCENT
    finite = np.concatenate([[0.0], *(v[np.isfinite(v)] for v in values)])
    return float(finite.min()), float(finite.max()) or 1.0


def questions_data(questions: Sequence[Sequence[Film]], names: Sequence[str]) -> dict[str, Any]:
    """Watched questions, each with its film in every run."""
    return {"names": list(names), "questions": [_question(films) for films in questions]}


def route_data(runs: Sequence[Source]) -> dict[str, Any] | None:
    """The attention head that rose most in any run, and its curve in every run; None: none was recorded."""
    riser = risen_most(runs)
    if riser is None:
        return None
    curves = [_head_curve(run.route, riser["layer"], riser["head"]) for run in runs]
    return {"names": [run.name for run in runs], "curves": curves}


def _question(films: Sequence[Film]) -> dict[str, Any]:
    first = films[0]
    return {
        "id": first.question_id,
        "about": f"{first.kind}, {first.split}",
        "question": first.question,
        "true_texts": list(dict.fromkeys(first.true_texts)),
        "runs": [_film(film) for film in films],
    }


def _film(film: Film) -> dict[str, Any]:
    """A training's answers to one question; tokens may be cut otherwise than in another training."""
    captures = shown_captures(film)
    return {
        "truth": list(film.truth),
        "segments": [list(piece) for piece in film.text.context_pieces()],
        "steps": film.steps[captures].tolist(),
        "captured": len(film.steps),
        "opening": int(film.steps[film.opening]),
        "turned": bool(film.settled),
        "outcome": film.outcome,
        "answers": [
            {
                "first": film.answer_span(i)[0],
                "last": film.answer_span(i)[1],
                "text": film.answer_text(i),
                "right": bool(film.right[i]),
            }
            for i in captures
        ],
        "answer_probability": _numbers(film.answer_probability[captures]),
        "true_probability": _numbers(film.true_probability[captures]),
        "start": _numbers(film.start[captures]),
        "end": _numbers(film.end[captures]),
    }


def shown_captures(film: Film) -> list[int]:
    """The captures that a page has, as indices of `steps`: all, or evenly some, and those around the turn."""
    n = len(film.steps)
    evenly = {int(i) for i in np.linspace(0, n - 1, min(n, MOST_CAPTURES)).round()}
    return sorted(evenly | {max(film.opening - 1, 0), film.opening})


def risen_most(runs: Sequence[Source]) -> Mapping[str, Any] | None:
    """The attention head that rose most in any run, by its numbers, and in which run."""
    risen = []
    for place, run in enumerate(runs):
        if run.route is not None:
            layer, head = run.route.rose_most()
            rise = run.route.weight[-1, layer, head] - run.route.weight[0, layer, head]
            risen.append((float(rise), run.route.layers[layer], head, place, run.route))
    if not risen:
        return None
    _, layer, head, place, route = max(risen, key=lambda one: one[0])
    return {
        "layer": layer,
        "head": head,
        "run": place,
        "heads": int(np.prod(route.weight.shape[1:])),
    }


def _head_curve(route: RouteOverTime | None, layer: int, head: int) -> dict[str, Any] | None:
    if route is None or layer not in route.layers or head >= route.weight.shape[2]:
        return None
    return _curve(Curve(route.steps, route.weight[:, route.layers.index(layer), head]))


def _curve(curve: Curve | None) -> dict[str, Any] | None:
    if curve is None or not len(curve.steps):
        return None
    return {"steps": curve.steps.tolist(), "values": _numbers(curve.values)}


def _numbers(values: NDArray[np.float64]) -> list[Any]:
    plain = np.round(values, DECIMALS).astype(object)
    plain[~np.isfinite(values)] = None
    numbers: list[Any] = plain.tolist()
    return numbers
