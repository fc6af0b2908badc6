"""An attribution on the terminal: the strongest words of each method, and how reliable they are."""

from collections.abc import Sequence

from rich.text import Text

from qa_research.console import Screen, styled
from qa_research.explain.words.result import (
    CURVES,
    NAMES,
    Attribution,
    AttributionOverSteps,
    Faithfulness,
    LimeValues,
    Values,
    number_text,
    signed,
)


def show_attribution(result: Attribution) -> None:
    """The answer, the top words side by side, agreement and faithfulness, and the warnings."""
    console = Screen()
    answer = result.answer or "no answer in this text"
    probability = f"   (probability {result.answer_probability or 0:.3f})"
    if result.answer_probability is None and not result.text.is_answer:
        probability = ""
    console.print(styled((answer, "bold"), probability))
    console.print(result.quantity)
    console.print()
    _show_top_words(console, result)
    console.print()
    for values in result.methods.values():
        console.print(values.caption)
        if isinstance(values, LimeValues) and values.ranks:
            console.print(values.ranks)
    console.print()
    _show_faithfulness(console, result.faithfulness)
    for pair in result.agreement:
        console.print(pair.sentence(result.top))
    _show_warnings(console, result.warnings)


def show_steps(result: AttributionOverSteps, most: int) -> None:
    """Of a watched example: at each step the probability of what is true, and each method's top words."""
    console = Screen()
    console.print(styled((result.text.title, "bold"), f"   ({result.question_id})"))
    console.print(result.quantity)
    rows = []
    is_number = result.text.says == "prediction"
    is_letters, digits = result.text.unit == "letter", 2 if is_number else 1
    # Letters are told apart by their places.
    words = [
        f"{word.text}{number if is_letters else ''}"
        for number, word in enumerate(result.text.words)
    ]
    for i, (step, probability) in enumerate(zip(result.steps, result.probability, strict=True)):
        value = 0.0 if probability is None else probability
        shown = number_text(value) if is_number else f"{100 * value:.1f}"
        shown = "-" if probability is None else shown
        strongest = (
            _strongest(words, found.span[i], most, digits) for found in result.methods.values()
        )
        rows.append([str(step), shown, *strongest])
    titles = [f"{NAMES[name]}: strongest" for name in result.methods]
    what = "prediction" if is_number else f"true {'span' if result.text.is_answer else 'label'}, %"
    console.table(["step", what, *titles], rows, right={0, 1})
    _show_warnings(console, result.warnings)


def _show_warnings(console: Screen, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(f"! {warning}")


def _show_top_words(console: Screen, result: Attribution) -> None:
    rows: list[list[str | Text]] = []
    for row in zip(*(result.top_words(name) for name in result.methods), strict=True):
        cells: list[str | Text] = []
        for found in row:
            word = styled(found.word.text, (f"  {found.word.place}", "dim"), lines=False)
            cells += [word, signed(found.value)]
        rows.append(cells)
    header = [title for name in result.methods for title in (NAMES[name], result.text.measure)]
    console.table(header, rows, right=range(1, len(header), 2))


def _show_faithfulness(console: Screen, found: Faithfulness) -> None:
    header = ["without the answer's words" if found.answer_stays else "faithfulness"]
    for kind in CURVES:
        header += [kind, "beats random"]
    rows = []
    for name, curves in found.methods.items():
        cells = [NAMES[name]]
        for kind in CURVES:
            curve = getattr(curves, kind)
            cells += [f"{curve.area:.3f}", f"{found.beaten(curve)} of {found.orders}"]
        rows.append(cells)
    means = [f"{getattr(found.random, kind).area[0]:.3f}" for kind in CURVES]
    rows.append([f"{found.orders} random orders", means[0], "", means[1], ""])
    console.table(header, rows, right=range(1, len(header)))


def _strongest(words: Sequence[str], values: Values, most: int, digits: int) -> str:
    """The words that support the span most, with their values."""
    support = [(n, value) for n, value in enumerate(values) if value is not None and value > 0]
    support.sort(key=lambda found: -found[1])
    return "  ".join(f"{words[n]} {signed(value, digits)}" for n, value in support[:most])
