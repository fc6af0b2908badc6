"""Which words the true answer of `match` questions rests on, over the kept steps of three trainings.

The questions are of another corpus than the trained one. Words of one role are switched off together.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import t

from experiments.study import origin
from qa_research.explain.words.reader import Explained, Reader, true_span
from qa_research.runs.checkpoints import kept_steps
from qa_research.runs.directory import read_config, read_record
from qa_research.runs.open import open_run
from qa_research.streams import stream
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import make_windows

STUDY = "words_that_match"
# Trainings use the corpus of seed 0.
CORPUS = 1
QUESTIONS = 60
# Characters of a context that fits into one window.
LONGEST = 450
ROLES = {
    "kind": "the question's words for the kind of answer",
    "asked letter": "the group's letter in the question",
    "stated letter": "the group's letter in the context",
    "both letters": "both letters",
    "other letter": "another group's letter in the context",
    "other word": "a random other word of the context",
}
COLOURS = ("#c05f00", "#5b9bc8", "#0b4f84", "#111827", "#9aa5b1", "#d3b58d")


def measure(runs: Path) -> dict[str, Any]:
    """For each seed and step, of each role: the mean loss of probability of the true span, with its interval.

    Also that of the sum of its logits, and what the network answers with every word on.
    """
    paths = sorted(path.parent for path in runs.glob(f"{STUDY}/minilm-*/run.json"))
    if not paths:
        raise FileNotFoundError(f"no runs of this study in {runs}; commands.sh makes them")
    trained = {row.context for row in generate(read_config(paths[0])["data"]["seed"]).train}
    rows = fresh_questions(trained)
    seeds = {str(read_record(run)["seed"]): over_steps(run, rows) for run in paths}
    return {"made by": origin(paths[0]), "questions": len(rows), "seeds": seeds}


def fresh_questions(trained: set[str]) -> list[Question]:
    """`match` questions of another corpus, each about its own context, which no training has seen."""
    contexts, found = set(trained), []
    for row in generate(CORPUS).validation:
        if row.kind == "match" and row.context not in contexts and len(row.context) < LONGEST:
            contexts.add(row.context)
            found.append(row)
    return found[:QUESTIONS]


def over_steps(run: Path, rows: Sequence[Question]) -> dict[str, Any]:
    """A run's kept steps: means over the questions, with 95 % intervals of the mean."""
    steps, found = [], []
    for name in kept_steps(run):
        opened = open_run(run, name)
        explained = [explain(opened, row) for row in rows]
        found.append(
            [
                losses(one.reader, row, number)
                for number, (one, row) in enumerate(zip(explained, rows, strict=True))
            ]
        )
        steps.append(int(opened.step))
    values = np.array(found)  # [step, question, probability and logits and each role's two losses]
    result: dict[str, Any] = {"steps": steps}
    columns = [
        "probability",
        *(f"{quantity} {role}" for quantity in ("lost", "logits") for role in ROLES),
    ]
    for column, name in enumerate(columns):
        result[name] = [mean_interval(values[step, :, column]) for step in range(len(steps))]
    return result


def explain(opened: Any, row: Question) -> Explained:
    """A reader of the question's window, and its true span."""
    data = opened.config["data"]
    windows = make_windows([row], opened.tokenizer, data["max_tokens"], data["stride_tokens"])
    first, last = int(windows.span_first[0]), int(windows.span_last[0])
    described = {
        "id": row.id,
        "title": row.title,
        "question": row.question,
        "context": row.context,
        "kind": row.kind,
        "answers": [gold.text for gold in row.answers],
        "tokens": windows.text(0, row.context, opened.tokenizer).tokens,
    }
    found = true_span(opened, described, first, last)
    assert found is not None
    return found


def losses(reader: Reader, row: Question, number: int) -> list[float]:
    """The true span's probability, then what it loses without each role's words, then its logits' losses."""
    words = roles(reader, row, number)
    masks = np.ones((1 + len(ROLES), len(reader.units)), dtype=bool)
    for mask, role in zip(masks[1:], ROLES, strict=True):
        mask[[reader.units.index(word) for word in words[role]]] = False
    said = reader.predict(masks, "Erasing words")
    logits = said.start + said.end
    return [
        float(said.probability[0]),
        *(said.probability[0] - said.probability[1:]).tolist(),
        *(logits[0] - logits[1:]).tolist(),
    ]


def roles(reader: Reader, row: Question, number: int) -> dict[str, list[int]]:
    """The words of each role, by number: as many letters and other words as there are stated letters."""
    words = list(enumerate(reader.text.words))
    letter = next(w.text for _, w in words if w.part == "question" and is_letter(w.text))
    asked = [i for i, w in words if w.part == "question" and w.text == letter]
    kind = [
        i
        for i, w in words
        if w.part == "question" and w.text.isalnum() and w.text != "group" and i not in asked
    ]
    stated = [i for i, w in words if w.part == "context" and w.text == letter]
    answer = set(range(row.answers[0].start, row.answers[0].start + len(row.answers[0].text)))
    free = [
        (i, w)
        for i, w in words
        if w.part == "context"
        and w.char_start not in answer
        and w.text != letter
        and w.text.isalnum()
    ]
    letters = [i for i, w in free if is_letter(w.text)]
    others = [i for i, w in free if not is_letter(w.text) and w.text.lower() != "group"]
    draw = stream(CORPUS, STUDY, number)
    return {
        "kind": kind,
        "asked letter": asked,
        "stated letter": stated,
        "both letters": asked + stated,
        "other letter": draw.choice(letters, len(stated), replace=False).tolist(),
        "other word": draw.choice(others, len(stated), replace=False).tolist(),
    }


def is_letter(word: str) -> bool:
    """Whether a word is the letter of a group."""
    return len(word) == 1 and word.isalpha() and word != "a"


def mean_interval(values: NDArray[np.float64]) -> list[float]:
    """The mean of questions with their own contexts, and the 95 % interval of Student's t."""
    error = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [float(values.mean()), float(values.mean() - error), float(values.mean() + error)]


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """What each role carries over the steps, a panel a seed."""
    figure = Figure(figsize=(12.6, 4), layout="constrained")
    panels = figure.subplots(1, len(measured["seeds"]), sharey=True, squeeze=False)[0]
    for panel, (seed, found) in zip(panels, measured["seeds"].items(), strict=True):
        for (role, label), colour in zip(ROLES.items(), COLOURS, strict=True):
            mean, low, high = np.array(found[f"lost {role}"]).T
            panel.plot(found["steps"], mean, color=colour, marker="o", markersize=3, label=label)
            panel.fill_between(found["steps"], low, high, color=colour, alpha=0.15, linewidth=0)
        probability = np.array(found["probability"])[:, 0]
        panel.plot(
            found["steps"],
            probability,
            color="#2e7d32",
            linestyle=":",
            label="nothing erased: its probability",
        )
        panel.set(xlabel="optimizer step", title=f"seed {seed}")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("probability lost by the true answer")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return {"figure.png": figure}
