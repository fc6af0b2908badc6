"""The proof: silence the named heads at the end, beside 20 random choices of as many heads.

python experiments/the_moment_it_matches/silence.py [RUNS]

Exact match on the validation questions that were not watched, in percent.
"""

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from phases import HEADS_NAMED, studied

from qa_research.capture.forward import silenced
from qa_research.capture.recording.reader import Recording
from qa_research.config import build
from qa_research.runs.open import open_run
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import rules_for, score_question
from qa_research.tasks.answering.trained import TrainedAnswerer

CHOICES = 20


def exact_match(run: TrainedAnswerer, rows: Sequence[Question]) -> dict[str, float]:
    """Percent by kind."""
    rules = rules_for(rows)
    by_kind: dict[str, list[float]] = {}
    for row, answer in zip(rows, run.answer(rows), strict=True):
        score = score_question(row, answer.text, rules).exact_match
        by_kind.setdefault(row.kind, []).append(score)
    return {kind: 100 * float(np.mean(scores)) for kind, scores in by_kind.items()}


def main() -> None:
    """Measure every run, print a table, keep the numbers in silence.json."""
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    results = []
    print("| seed | silenced | `match` | `lookup` |\n|---|---|---|---|")
    for seen in studied(runs, "moment"):
        run = open_run(seen.directory, checkpoint="last")
        data = build("data", run.config["data"])
        data.load()
        watched = {row["id"] for row in Recording(seen.directory / "recording.zarr").questions}
        rows = [row for row in data.validation if row.id not in watched]
        shape = seen.weight.shape[2:]
        named = seen.named()
        others = [
            (layer, head)
            for layer in range(shape[0])
            for head in range(shape[1])
            if (layer, head) not in named
        ]
        draw = random.Random(seen.seed)
        before = exact_match(run, rows)
        with silenced(run.network, named):
            without = exact_match(run, rows)
        control = []
        for _ in range(CHOICES):
            with silenced(run.network, draw.sample(others, HEADS_NAMED)):
                control.append(exact_match(run, rows))
        results.append(
            {"seed": seen.seed, "named": named, "before": before, "without": without}
            | {"control": control}
        )
        shown = ", ".join(f"{layer}.{head}" for layer, head in named)
        spread = {kind: sorted(scores[kind] for scores in control) for kind in ("match", "lookup")}
        cells = {
            kind: f"{np.median(v):.1f} ({v[0]:.1f} to {v[-1]:.1f})" for kind, v in spread.items()
        }
        print(f"| {seen.seed} | nothing | {before['match']:.1f} | {before['lookup']:.1f} |")
        print(f"| | {shown} | {without['match']:.1f} | {without['lookup']:.1f} |")
        print(
            f"| | {HEADS_NAMED} random others, {CHOICES} times | {cells['match']} | {cells['lookup']} |"
        )
    out = Path(__file__).with_name("silence.json")
    out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
