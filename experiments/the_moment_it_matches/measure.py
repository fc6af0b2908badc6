"""Which heads change when `match` jumps, and what is lost without them, beside sets matched by layer.

The heads are chosen from the watched questions; what is lost is measured on questions of another corpus.
"""

from collections import Counter
from collections.abc import Sequence
from math import comb, prod
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.study import origin
from experiments.the_moment_it_matches.figures import draw_jump, draw_phases
from experiments.the_moment_it_matches.letters import (
    COMPARING,
    letters_before_training,
    letters_of_run,
)
from experiments.the_moment_it_matches.phases import (
    HEADS_NAMED,
    MATCHED,
    PHASES,
    PLATEAU,
    ROUTES,
    Head,
    Seen,
    name,
    studied,
)
from qa_research.capture.forward import silenced
from qa_research.capture.recording.reader import Recording
from qa_research.runs.metrics import read_metrics
from qa_research.runs.open import open_run
from qa_research.runs.predictions import read_run_predictions
from qa_research.streams import stream
from qa_research.tasks.answering.corpus import KINDS, generate
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import rules_for, score_question
from qa_research.tasks.answering.trained import TrainedAnswerer

STUDY = "the_moment_it_matches"
# Trainings use the corpus of seed 0.
CORPUS = 1
QUESTIONS = 200
CHOICES = 20
# Silenced each for itself: the one that changes most, and the two of COMPARING.
ALONE = ((3, 2), *COMPARING)
# The captures at the end of the control.
LATE = 10


def measure(runs: Path) -> dict[str, Any]:
    """For each seed: the phases, the heads that change most in each, and exact match without some of them."""
    found, control = studied(runs, "moment"), studied(runs, "moment_control")
    jumped = [seen for seen in found if seen.borders is not None]
    if not jumped:
        raise FileNotFoundError(f"no run of this study in {runs} jumps; commands.sh makes them")
    in_all = set.intersection(*(set(seen.named()) for seen in jumped))
    rows = generate(CORPUS).validation[:QUESTIONS]
    return {
        "made by": origin(jumped[0].directory),
        "levels": [PLATEAU, MATCHED],
        "layers": jumped[0].weight.shape[2],
        "heads": jumped[0].weight.shape[3],
        "watched": dict(Counter(row["kind"] for row in watched(jumped[0].directory))),
        "trained on": sum(
            row["kind"] == "match" and row["split"] == "train"
            for row in watched(jumped[0].directory)
        ),
        "letters at 0": letters_before_training(jumped[0].directory),
        "every": int(np.diff(jumped[0].steps)[0]),
        "choices": CHOICES,
        "fresh questions": dict(Counter(row.kind for row in rows)),
        "guessing": generate(CORPUS).guessing,
        "in all seeds": [name(head) for head in sorted(in_all)],
        "seeds": {
            str(seen.seed): phases(seen) | {"silenced": without_heads(seen, sorted(in_all), rows)}
            for seen in jumped
        },
        "control": {str(seen.seed): unjumped(seen) for seen in control},
    }


def watched(run: Path) -> list[dict[str, Any]]:
    """The watched questions of a run."""
    return Recording(run / "recording.zarr").questions


def phases(seen: Seen) -> dict[str, Any]:
    """Where the jump begins and ends, and the largest change of every phase's heads, on any route."""
    assert seen.borders is not None
    most = {}
    for phase, change in zip(PHASES, seen.changes(), strict=True):
        size = np.abs(change).max(axis=0)
        order = np.argsort(-size, axis=None)[:HEADS_NAMED]
        heads = [tuple(int(i) for i in np.unravel_index(place, size.shape)) for place in order]
        most[phase] = [[name(head), largest(change[:, head[0], head[1]])] for head in heads]
    return {
        "plateau until": int(seen.steps[seen.borders[1]]),
        "matched from": int(seen.steps[seen.borders[2]]),
        "last step": int(seen.steps[-1]),
        "changes": most,
        "comparing at the jump": {
            name(head): float(seen.changes()[PHASES.index("at"), :, head[0], head[1]].max())
            for head in COMPARING
        },
        "letters at the end": letters_of_run(seen.directory),
        "to the question's letter": float(
            seen.changes()[PHASES.index("at"), ROUTES.index(("answer", "match_question"))].max()
        ),
    }


def unjumped(seen: Seen) -> dict[str, Any]:
    """A training that never jumped: its length, its end, and the largest change of any head."""
    rows = [row for row in read_metrics(seen.directory / "metrics.csv") if row["val/exact_match"]]
    late = seen.exact_match[-LATE:]
    return {
        "steps": int(seen.steps[-1]),
        "match": float(seen.exact_match[-1]),
        "late": [len(late), float(late.min()), float(late.max())],
        "validation": float(rows[-1]["val/exact_match_match"]),
        "validated": sum(
            row["kind"] == "match" and not row["chose"]
            for row in read_run_predictions(seen.directory, ())
        ),
        "largest change": float(np.abs(seen.weight - seen.weight[0]).max()),
    }


def without_heads(seen: Seen, in_all: Sequence[Head], rows: Sequence[Question]) -> dict[str, Any]:
    """What is answered in the trained network: nothing silenced, each set of heads, and its controls.

    The set of one layer is beside all other heads of that layer, the comparing heads beside random sets.
    """
    run = open_run(seen.directory, checkpoint="last")
    heads = seen.weight.shape[3]
    [layer] = {layer for layer, _ in in_all}
    sets: dict[str, list[Head]] = {
        "nothing": [],
        "in all seeds": list(in_all),
        "the others of the layer": [
            (layer, head) for head in range(heads) if (layer, head) not in in_all
        ],
        "comparing": list(COMPARING),
        **{name(head): [head] for head in ALONE},
    }
    only_match = [row for row in rows if row.kind == "match"]
    result: dict[str, Any] = {"sets": {}}
    for label, chosen in sets.items():
        with silenced(run.network, chosen):
            found = answered(run, only_match if len(chosen) == 1 else rows)
        result["sets"][label] = {"heads": [name(head) for head in chosen]} | found
    for number, (label, chosen) in enumerate(
        {"in all seeds": in_all, "comparing": COMPARING}.items(), start=1
    ):
        result[f"random for {label}"] = []
        for choice in matched(chosen, heads, stream(seen.seed, STUDY, number)):
            with silenced(run.network, choice):
                result[f"random for {label}"].append(exact_match(run, rows))
    return result


def matched(heads: Sequence[Head], in_a_layer: int, draw: np.random.Generator) -> list[list[Head]]:
    """Random sets of other heads with as many in each layer as `heads`, none twice."""
    by_layer = Counter(layer for layer, _ in heads)
    possible = prod(comb(in_a_layer - count, count) for count in by_layer.values())
    found: list[list[Head]] = []
    while len(found) < min(CHOICES, possible):
        choice = []
        for layer, count in sorted(by_layer.items()):
            free = [head for head in range(in_a_layer) if (layer, head) not in heads]
            choice += [
                (layer, int(head)) for head in sorted(draw.choice(free, count, replace=False))
            ]
        if choice not in found:
            found.append(choice)
    return found


def exact_match(run: TrainedAnswerer, rows: Sequence[Question]) -> dict[str, float]:
    """Percent by kind."""
    found = answered(run, rows)
    return {kind: 100 * counts["right"] / counts["asked"] for kind, counts in found.items()}


def answered(run: TrainedAnswerer, rows: Sequence[Question]) -> dict[str, dict[str, int]]:
    """By kind: how many are asked, answered with something of the right kind, and answered right."""
    rules = rules_for(rows)
    found: dict[str, dict[str, int]] = {}
    for row, answer in zip(rows, run.answer(rows), strict=True):
        counts = found.setdefault(row.kind, {"asked": 0, "of the right kind": 0, "right": 0})
        counts["asked"] += 1
        counts["of the right kind"] += answer.text in of_its_kind(row)
        counts["right"] += int(score_question(row, answer.text, rules).exact_match)
    return found


def of_its_kind(row: Question) -> tuple[str, ...]:
    """All values of the corpus that are of the kind of this question's answer."""
    true = row.answers[0].text
    return next(kind.values for kind in KINDS.values() if true in kind.values)


def largest(values: NDArray[np.float64]) -> float:
    """The value farthest from 0."""
    return float(values[np.abs(values).argmax()])


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """The jump with its heads; the change of attention by route and phase."""
    found, control = studied(runs, "moment"), studied(runs, "moment_control")
    return {
        "jump.png": draw_jump(found, control, measured["guessing"]["match"]),
        "phases.png": draw_phases(found),
    }
