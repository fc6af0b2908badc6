"""The report of several runs as one self-contained HTML file: no network, no other file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.pages.html import one_file
from qa_research.report.comparison import Curve, Report, ReportedRun, RouteOverTime
from qa_research.watch.film import Film

DECIMALS = 3
KIT = ("kit.css", "page.js", "charts.js")
SCRIPTS = ("report.js",)


def report_page(report: Report, title: str) -> str:
    """The page: a table at a glance, curves of all runs, and the same question in each with one slider."""
    values = {
        "title": title,
        "report": report,
        "kinds": list(dict.fromkeys(kind for run in report.runs for kind in run.scores)),
        "data": report_data(report),
        "route": _riser(report.runs),
    }
    return one_file(
        "qa_research.report", "report.html.jinja", "report.css", SCRIPTS, values, kit=KIT
    )


def report_data(report: Report) -> dict[str, Any]:
    """What the page's script reads, as JSON's values: numbers to three decimals, null if not finite."""
    names = [run.name for run in report.runs]
    kinds = list(dict.fromkeys(kind for run in report.runs for kind in run.curves))
    if len(kinds) > 1:
        kinds.remove("all")
    return {
        "names": names,
        "charts": [
            {
                "kind": kind,
                "guessing": report.guessing.get(kind),
                "curves": [_curve(run.curves.get(kind)) for run in report.runs],
            }
            for kind in kinds
        ],
        "questions": [
            _question([run.films[name] for run in report.runs]) for name in report.shared_questions
        ],
        "route": _route(report.runs),
    }


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
    captures = range(len(film.steps))
    return {
        "truth": list(film.truth),
        "segments": [list(piece) for piece in film.text.context_pieces()],
        "steps": film.steps.tolist(),
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
        "answer_probability": _numbers(film.answer_probability),
        "true_probability": _numbers(film.true_probability),
        "start": _numbers(film.start),
        "end": _numbers(film.end),
    }


def _riser(runs: Sequence[ReportedRun]) -> Mapping[str, Any] | None:
    """The attention head that rose most in any run, by its numbers, and in which run."""
    risen = []
    for run in runs:
        if run.route is not None:
            layer, head = run.route.rose_most()
            rise = run.route.weight[-1, layer, head] - run.route.weight[0, layer, head]
            risen.append((float(rise), run.route.layers[layer], head, run.name, run.route))
    if not risen:
        return None
    _, layer, head, name, route = max(risen, key=lambda one: one[0])
    return {
        "layer": layer,
        "head": head,
        "name": name,
        "heads": int(np.prod(route.weight.shape[1:])),
    }


def _route(runs: Sequence[ReportedRun]) -> list[dict[str, Any] | None] | None:
    """The curve of the head of `_riser` in every run; None for a run that did not record it."""
    riser = _riser(runs)
    if riser is None:
        return None
    return [_head_curve(run.route, riser["layer"], riser["head"]) for run in runs]


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
