"""Which words the true answer of `match` questions rests on, over the kept steps of three trainings.

The questions are of another draw of the corpus. Words of one role are switched off together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import t

from experiments.study import origin
from experiments.words_that_match.figures import draw_roles
from experiments.words_that_match.roles import (
    ROLES,
    Rival,
    about,
    rival,
    roles,
    stacked,
    swapped,
    without,
)
from qa_research.console import tracked
from qa_research.explain.words.reader import Reader, true_span
from qa_research.runs.checkpoints import kept_steps
from qa_research.runs.directory import read_config, read_record
from qa_research.runs.open import open_run
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import make_windows

STUDY = "words_that_match"
# Trainings use the corpus of seed 0.
CORPUS = 1
QUESTIONS = 60
# Characters of a context that fits into one window.
LONGEST = 450
# Pairs of roles whose losses are compared question by question.
PAIRS = (
    ("kind", "both letters"),
    ("asked letter", "stated letter"),
    ("stated letter", "both letters"),
    ("stated letter", "sentence word"),
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """A question as the network reads it: the words of each role, and another candidate."""

    reader: Reader
    roles: Mapping[str, list[int]]
    rival: Rival


def measure(runs: Path) -> dict[str, Any]:
    """For each seed and step, of each role: the mean loss of probability of the true span, with its interval.

    Also that of the sum of its logits, what the network says with every word on, and at the end what it
    says when the asked letter is a rival's.
    """
    paths = sorted(path.parent for path in runs.glob(f"{STUDY}/minilm-*/run.json"))
    if not paths:
        raise FileNotFoundError(f"no runs of this study in {runs}; commands.sh makes them")
    trained = {row.context for row in generate(read_config(paths[0])["data"]["seed"]).train}
    rows = fresh_questions(trained)
    seeds = {str(read_record(run)["seed"]): over_steps(run, rows) for run in paths}
    return {
        "made by": origin(paths[0]),
        "questions": len(rows),
        "longest": LONGEST,
        "seeds": seeds,
    }


def fresh_questions(trained: set[str]) -> list[Question]:
    """`match` questions of another draw, each about its own context, which no training has seen."""
    contexts, found = set(trained), []
    for row in generate(CORPUS).validation:
        if row.kind == "match" and row.context not in contexts and len(row.context) < LONGEST:
            contexts.add(row.context)
            found.append(row)
    return found[:QUESTIONS]


def over_steps(run: Path, rows: Sequence[Question]) -> dict[str, Any]:
    """A run's kept steps: means over the questions, with 95 % intervals of the mean."""
    names = kept_steps(run)
    opened = open_run(run, names[0])
    asked = [as_read(opened, row, number) for number, row in enumerate(rows)]
    steps, found = [], []
    for name in tracked(names, run.name):
        opened = open_run(run, name)
        asked = [replace(one, reader=replace(one.reader, network=opened.network)) for one in asked]
        found.append([said(one) for one in asked])
        steps.append(int(opened.step))
    # [step, question, probability or sum of logits, text: as it is and without each role]
    values = np.array(found)
    losses = values[..., :1] - values[..., 1:]
    result: dict[str, Any] = {"steps": steps, "probability": intervals(values[:, :, 0, 0])}
    for number, role in enumerate(ROLES):
        result[f"lost {role}"] = intervals(losses[:, :, 0, number])
        result[f"logits {role}"] = intervals(losses[:, :, 1, number])
    order = list(ROLES)
    for one, other in PAIRS:
        difference = losses[:, :, 0, order.index(one)] - losses[:, :, 0, order.index(other)]
        result[f"{one} less {other}"] = intervals(difference)
    return result | {"end": at_the_end(asked, opened.tokenizer)}


def as_read(opened: Any, row: Question, number: int) -> Asked:
    """The question's window, its true span, and the words of each role."""
    data = opened.config["data"]
    windows = make_windows([row], opened.tokenizer, data["max_tokens"], data["stride_tokens"])
    described = {
        "id": row.id,
        "title": row.title,
        "question": row.question,
        "context": row.context,
        "kind": row.kind,
        "answers": [gold.text for gold in row.answers],
        "tokens": windows.text(0, row.context, opened.tokenizer).tokens,
    }
    span = int(windows.span_first[0]), int(windows.span_last[0])
    found = true_span(opened, described, *span)
    assert found is not None
    reader = found.reader
    return Asked(
        reader,
        roles(reader.text, row, (CORPUS, STUDY, number)),
        rival(reader.text, row, (CORPUS, f"{STUDY}-rival", number)),
    )


def said(asked: Asked) -> Floats:
    """[probability and sum of logits, text]: of the true span, of the text as it is and without each role."""
    reader = asked.reader
    texts = [
        reader.full_ids[0],
        *(without(reader, asked.roles[role], reader.off.token_id) for role in ROLES),
    ]
    with torch.inference_mode():
        start, end, probability = reader.said_of(stacked(texts))
    return np.stack([probability.numpy(), (start + end).double().numpy()])


def at_the_end(asked: Sequence[Asked], tokenizer: Any) -> dict[str, list[float]]:
    """In the trained network: the asked letter replaced by a rival's, and letters off in two ways."""
    found = np.array([changed(one, int(tokenizer.unk_token_id)) for one in asked])
    own, alike, apart, other, rivals_before, rivals_after = found.T
    return {
        "lost rival's letter": mean_interval(own - other),
        "rival before": mean_interval(rivals_before),
        "rival after": mean_interval(rivals_after),
        "lost both alike": mean_interval(own - alike),
        "lost both apart": mean_interval(own - apart),
        "apart less alike": mean_interval(alike - apart),
    }


def changed(asked: Asked, unknown: int) -> list[float]:
    """The true span's probability for the text, with both letters [MASK], with one [MASK] and one [UNK], and
    with a rival's letter in the question; then the rival's for the text and with its letter.
    """
    reader, words = asked.reader, asked.roles
    [first], [second] = words["asked letter"], words["stated letter"]
    apart = without(reader, [first], reader.off.token_id)
    place = reader.text.words[second]
    apart[place.first_token : place.last_token + 1] = unknown
    other = swapped(reader, first, asked.rival.letter)
    both = without(reader, [first, second], reader.off.token_id)
    full = reader.full_ids[0]
    with torch.inference_mode():
        own = reader.said_of(stacked([full, both, apart, other]))[2]
        rivals = about(reader, asked.rival).said_of(stacked([full, other]))[2]
    return [*own.tolist(), *rivals.tolist()]


def intervals(values: Floats) -> list[list[float]]:
    """Of [step, question] values: the mean of each step with its interval."""
    return [mean_interval(of_step) for of_step in values]


def mean_interval(values: Floats) -> list[float]:
    """The mean of questions with their own contexts, and the 95 % interval of Student's t."""
    error = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [float(values.mean()), float(values.mean() - error), float(values.mean() + error)]


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """What each role carries over the steps, a panel a seed."""
    return {"figure.png": draw_roles(measured["seeds"])}
