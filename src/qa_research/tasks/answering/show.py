"""Evaluations and answers as a person reads them, on stdout."""

import sys

from rich.console import Console
from rich.text import Text

from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.evaluation import Evaluation

# Characters of the context shown on either side of an answer.
CHARACTERS_AROUND = 80


def show_evaluation(result: Evaluation) -> None:
    """One row for all questions and one per kind; for v2.0 also answerable and unanswerable ones."""
    print(f"{'':<12}{'questions':>10}   {'exact match [95 %]':<22}{'F1 [95 %]':<22}")
    parts = {"all": result.overall} | (result.by_kind if len(result.by_kind) > 1 else {})
    for name, part in parts.items():
        _print_row(name, part.total, str(part.exact_match), str(part.f1))
    if result.rules == "v2.0":
        official = result.official
        for name in ("HasAns", "NoAns"):
            if f"{name}_total" in official:
                exact_match, f1 = official[f"{name}_exact_match"], official[f"{name}_f1"]
                _print_row(name, int(official[f"{name}_total"]), f"{exact_match:.1f}", f"{f1:.1f}")
        best, threshold = official["best_f1"], official["best_f1_threshold"]
        print(f"best F1 over all null thresholds: {best:.1f} at {threshold:.2f}")


def _print_row(name: str, total: int, exact_match: str, f1: str) -> None:
    print(f"{name:<12}{total:>10}   {exact_match:<22}{f1:<22}".rstrip())


def show_answer(answer: Answer, context: str, n_best: int) -> None:
    """The answer in its context, then the `n_best` candidates with their probabilities."""
    # Only a terminal wraps lines; a pipe receives them as they are.
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    start, end = answer.char_start, answer.char_end
    if answer.text:
        where = f"(probability {answer.probability:.3f}, characters {start} to {end})"
        console.print(f"{answer.text}   {where}", markup=False)
        left = ("..." if start > CHARACTERS_AROUND else "") + context[:start][-CHARACTERS_AROUND:]
        after = context[end:]
        right = after[:CHARACTERS_AROUND] + ("..." if len(after) > CHARACTERS_AROUND else "")
        console.print(Text.assemble("\n  ", left, (answer.text, "bold reverse"), right, "\n"))
    else:
        console.print(f"no answer in this text   (probability {answer.probability:.3f})")
    for rank, candidate in enumerate(answer.candidates[:n_best], start=1):
        text = candidate.text or "(no answer)"
        console.print(f"{rank:>3}. {candidate.probability:.3f}  {text}", markup=False)
