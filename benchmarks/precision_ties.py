"""What bfloat16 does to answers: python benchmarks/precision_ties.py RUN [RUN ...].

Each run's validation questions are answered three times: in float32, in bfloat16 autocast throughout, and in
bfloat16 autocast with the output layer in float32, as trainings validate. Counted are the questions whose two
best spans have exactly the same score, and the answers that differ from those in float32.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import torch

from qa_research.model.bert import head_of, in_float32
from qa_research.runs.open import open_run
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.evaluation import evaluate
from qa_research.tasks.answering.trained import TrainedAnswerer, questions_of


def count(run: str, runs: str) -> list[dict[str, Any]]:
    """One row per way to compute."""
    opened = open_run(run, "best", runs)
    if not isinstance(opened, TrainedAnswerer):
        raise ValueError(f"{run} answers no questions")
    questions = questions_of(opened.config, opened.record, "validation")
    exact = opened.answer(questions)
    with torch.autocast(opened.network.device.type, torch.bfloat16):
        rounded = opened.answer(questions)
        head_of(opened.network).register_forward_hook(in_float32)
        mixed = opened.answer(questions)
    ways = {"float32": exact, "bfloat16": rounded, "bfloat16, output layer in float32": mixed}
    return [
        {
            "run": opened.directory.name,
            "computed in": name,
            "questions": len(questions),
            "ties": sum(map(_ties, answers)),
            "answers that differ": _differing(answers, exact),
            "exact match": round(evaluate(questions, answers).overall.exact_match.value, 1),
        }
        for name, answers in ways.items()
    ]


def _ties(answer: Answer) -> bool:
    """Whether the two best spans have the same score."""
    scores = sorted((candidate.score for candidate in answer.candidates), reverse=True)
    return len(scores) > 1 and scores[0] == scores[1]


def _differing(answers: Sequence[Answer], exact: Sequence[Answer]) -> int:
    return sum(one.text != other.text for one, other in zip(answers, exact, strict=True))


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", nargs="+", help="a run's name or directory")
    parser.add_argument("--runs", default="runs", help="where runs lie that are given by name")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [row for run in arguments.run for row in count(run, arguments.runs)]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")


if __name__ == "__main__":
    main()
