"""What training examples did for questions, on the screen."""

import math

from qa_research.console import Screen
from qa_research.interventions.influence.found import Influence, Listed, Truth
from qa_research.interventions.influence.judging import Judged
from qa_research.interventions.replay.show import exactness
from qa_research.text import plural, singular

TEXT_LENGTH = 60
HEADER = ("method", "score [95 %]", "above text [95 %]")


def show_influence(found: Influence) -> None:
    """For each question what helped and harmed it, how methods agree, and how they are judged."""
    console = Screen()
    console.print(found.run)
    steps = ", ".join(f"{step:,}" for step in found.steps)
    one = singular(found.examples)
    console.print(
        f"What {plural(len(found.example_ids), f'training {one}')} did for "
        f"{plural(len(found.question_ids), one)}, by gradients at "
        f"{'step' if len(found.steps) == 1 else 'steps'} {steps}"
    )
    for question in found.questions:
        console.print(f"\n{question.id}  {question.text:.{TEXT_LENGTH}}")
        rows = [_row("+", one) for one in question.helped] + [
            _row("-", one) for one in question.harmed
        ]
        console.table(
            ("", "score", "text", "example", "", ""), rows, right=(1, 2), whole=(0, 1, 2, 3)
        )
    console.print("\nAgreement of methods: the mean of Spearman's correlations over the examples")
    names = list(found.agreement)
    console.table(
        ("", *names),
        [(one, *(_correlation(found.agreement[one][other]) for other in names)) for one in names],
        right=range(1, len(names) + 1),
    )
    if found.truth is not None:
        _show_truth(console, found.truth)
    for note in found.notes:
        console.print(f"\n{note}")


def _correlation(value: float) -> str:
    return f"{value:+.2f}" if math.isfinite(value) else "-"


def _row(sign: str, one: Listed) -> tuple[str, ...]:
    kind = f"({one.kind})" if one.kind else ""
    return (
        sign,
        f"{one.score:+.3g}",
        f"{one.alike:.1f}",
        one.id,
        f"{one.text:.{TEXT_LENGTH}}",
        kind,
    )


def _show_truth(console: Screen, truth: Truth) -> None:
    console.print(
        f"\nJudged by {truth.trainings} trainings of steps {truth.first + 1} to {truth.until}, each without "
        f"{plural(truth.left_out, 'example')} drawn at random: linear datamodeling score"
    )
    console.table(HEADER, [_judged(one) for one in truth.judged], right=(1, 2))
    console.print(f"Random scores: {truth.chance[0]:+.3f} to {truth.chance[1]:+.3f}")
    console.print(verdict(truth))
    console.print(exactness(truth.exact, truth.compared))


def _judged(one: Judged) -> tuple[str, ...]:
    score = f"{one.score:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
    if one.above is None:
        return one.method, score, ""
    value, low, high = one.above
    return one.method, score, f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def verdict(truth: Truth) -> str:
    """In a sentence, which methods predict better than the similarity of texts does."""
    predicting = [one for one in truth.judged if one.low > 0 and one.score > truth.chance[1]]
    if better := [one.method for one in predicting if one.above and one.above[1] > 0]:
        return f"Better than text similarity: {', '.join(better)}"
    if known := [one.method for one in predicting]:
        return f"Above 0: {', '.join(known)}; no method is shown to be better than text similarity"
    return "No method is shown to predict anything"
