"""Evaluations and answers as a person reads them, on stdout."""

import sys

from rich.console import Console
from rich.text import Text

from qa_research.answer.decode import Answer
from qa_research.answer.evaluation import Evaluation


def show_evaluation(result: Evaluation) -> None:
    """A row for all questions and one a kind; for v2.0 also answerable and unanswerable ones."""
    print(f"{'':<12}{'questions':>10}   {'exact match [95 %]':<22}{'F1 [95 %]':<22}")
    parts = {"all": result.overall} | (result.by_kind if len(result.by_kind) > 1 else {})
    for kind, part in parts.items():
        print(f"{kind:<12}{part.total:>10}   {part.exact_match!s:<22}{part.f1!s:<22}".rstrip())
    if result.rules == "v2.0":
        for name in ("HasAns", "NoAns"):
            if f"{name}_total" in result.official:
                exact, f1 = (result.official[f"{name}_{m}"] for m in ("exact_match", "f1"))
                total = result.official[f"{name}_total"]
                print(f"{name:<12}{total:>10}   {exact:<22.1f}{f1:<22.1f}".rstrip())
        best, threshold = (result.official[f"best_f1{end}"] for end in ("", "_threshold"))
        print(f"best F1 over all null thresholds: {best:.1f} at {threshold:.2f}")


def show_answer(answer: Answer, context: str, n_best: int) -> None:
    """The answer within its surroundings, then the `n_best` candidates with their probabilities."""
    # A pipe gets whole lines; only a terminal wraps them.
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    if answer.text:
        where = f"characters {answer.char_start} to {answer.char_end}"
        console.print(
            f"{answer.text}   (probability {answer.probability:.3f}, {where})", markup=False
        )
    else:
        console.print(f"no answer in this text   (probability {answer.probability:.3f})")
    before, after = context[: answer.char_start], context[answer.char_end :]
    left = ("..." if len(before) > 80 else "") + before[-80:]
    right = after[:80] + ("..." if len(after) > 80 else "")
    if answer.text:
        console.print(Text.assemble("\n  ", left, (answer.text, "bold reverse"), right, "\n"))
    for place, candidate in enumerate(answer.candidates[:n_best], start=1):
        text = candidate.text or "(no answer)"
        console.print(f"{place:>3}. {candidate.probability:.3f}  {text}", markup=False)
