"""An attribution on the terminal: the strongest words of each method, and how reliable they are."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qa_research.explain.words.result import (
    CURVES,
    NAMES,
    Attribution,
    AttributionOverSteps,
    Faithfulness,
    Values,
    signed,
)

PIPE_WIDTH = 200


def show_attribution(result: Attribution) -> None:
    """The answer, the top words side by side, agreement and faithfulness, and the warnings."""
    console = _console()
    answer = result.answer or "no answer in this text"
    probability = f"   (probability {result.answer_probability or 0:.3f})"
    console.print(Text.assemble((answer, "bold"), probability))
    console.print(result.quantity, markup=False)
    console.print()
    console.print(_top_words(result))
    console.print()
    for values in result.methods.values():
        console.print(values.caption, markup=False)
    console.print()
    console.print(_faithfulness(result.faithfulness))
    for pair in result.agreement:
        one, other = (NAMES[name] for name in pair.methods)
        console.print(
            f"{one} and {other}: rank correlation {signed(pair.rank_correlation)}, "
            f"overlap of the top {result.top} {pair.top_overlap:.2f}"
        )
    _show_warnings(console, result.warnings)


def show_steps(result: AttributionOverSteps, most: int) -> None:
    """Of a watched question: at each step the true span's probability, and each method's top words."""
    console = _console()
    console.print(Text.assemble((result.text.question, "bold"), f"   ({result.question_id})"))
    console.print(result.quantity, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", justify="right")
    table.add_column("true span, %", justify="right")
    for name in result.methods:
        table.add_column(f"{NAMES[name]}: strongest", overflow="fold")
    words = [word.text for word in result.text.words]
    for i, (step, probability) in enumerate(zip(result.steps, result.probability, strict=True)):
        shown = "-" if probability is None else f"{100 * probability:.1f}"
        strongest = (_strongest(words, found.span[i], most) for found in result.methods.values())
        table.add_row(str(step), shown, *map(Text, strongest))
    console.print(table)
    _show_warnings(console, result.warnings)


def _console() -> Console:
    # A pipe gets unbroken lines; only a terminal wraps them.
    is_pipe = not sys.stdout.isatty()
    return Console(soft_wrap=is_pipe, width=PIPE_WIDTH if is_pipe else None, highlight=False)


def _show_warnings(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(Text(f"! {warning}"))


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))


def _top_words(result: Attribution) -> Table:
    table = _table()
    for name in result.methods:
        table.add_column(NAMES[name], overflow="fold")
        table.add_column("logits", justify="right")
    for row in zip(*(result.top_words(name) for name in result.methods), strict=True):
        cells = []
        for found in row:
            place = f"  {found.word.place}", "dim"
            cells += [Text.assemble(found.word.text, place), Text(signed(found.value))]
        table.add_row(*cells)
    return table


def _faithfulness(found: Faithfulness) -> Table:
    table = _table()
    table.add_column("faithfulness")
    for kind in CURVES:
        table.add_column(kind, justify="right")
        table.add_column("beats random", justify="right")
    for name, curves in found.methods.items():
        cells = []
        for kind in CURVES:
            curve = getattr(curves, kind)
            cells += [f"{curve.area:.3f}", f"{100 * curve.beats:.0f} %"]
        table.add_row(NAMES[name], *cells)
    means = [f"{getattr(found.random, kind).area[0]:.3f}" for kind in CURVES]
    table.add_row(f"{found.orders} random orders", means[0], "", means[1], "")
    return table


def _strongest(words: Sequence[str], values: Values, most: int) -> str:
    """The words that support the span most, with their values."""
    support = [(n, value) for n, value in enumerate(values) if value is not None and value > 0]
    support.sort(key=lambda found: -found[1])
    return "  ".join(f"{words[n]} {signed(value, 1)}" for n, value in support[:most])
