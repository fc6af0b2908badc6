"""An attribution on the terminal: the strongest words of each method, and how far they can be believed."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qa_research.explain.words.figures import caption
from qa_research.explain.words.page import number, top_words
from qa_research.explain.words.result import NAMES

WIDE = 200


def show_attribution(document: Mapping[str, Any]) -> None:
    """The answer, the top words side by side, agreement and faithfulness, and the warnings."""
    console = _console()
    answer = document["answer"] or "no answer in this text"
    console.print(
        Text.assemble(
            (answer, "bold"), f"   (probability {document['answer_probability'] or 0:.3f})"
        )
    )
    console.print(document["quantity"], markup=False)
    console.print()
    console.print(_top(document))
    console.print()
    for name, found in document["methods"].items():
        console.print(caption(name, found), markup=False)
    console.print()
    console.print(_faithful(document))
    for pair in document["agreement"]:
        one, other = (NAMES[name] for name in pair["methods"])
        console.print(
            f"{one} and {other}: rank correlation {number(pair['rank_correlation'])}, "
            f"overlap of the top {document['top']} {pair['top_overlap']:.2f}"
        )
    show_warnings(document)


def show_steps(document: Mapping[str, Any], most: int) -> None:
    """Of a watched question: at each step the true span's probability, and each method's top words."""
    console = _console()
    console.print(Text.assemble((document["question"], "bold"), f"   ({document['question_id']})"))
    console.print(document["quantity"], markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", justify="right")
    table.add_column("true span, %", justify="right")
    for name in document["methods"]:
        table.add_column(f"{NAMES[name]}: strongest", overflow="fold")
    texts = [word["text"] for word in document["words"]]
    for place, step in enumerate(document["steps"]):
        strongest = [
            _strongest(texts, found["span"][place], most) for found in document["methods"].values()
        ]
        probability = document["probability"][place]
        shown = "-" if probability is None else f"{100 * probability:.1f}"
        table.add_row(str(step), shown, *map(Text, strongest))
    console.print(table)
    show_warnings(document)


def show_warnings(document: Mapping[str, Any]) -> None:
    """The warnings, a line each."""
    for warning in document["warnings"]:
        _console().print(Text(f"! {warning}"))


def _console() -> Console:
    # A pipe gets whole lines; only a terminal wraps them.
    is_pipe = not sys.stdout.isatty()
    return Console(soft_wrap=is_pipe, width=WIDE if is_pipe else None, highlight=False)


def _top(document: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    ranked = {name: top_words(document, name) for name in document["methods"]}
    for name in document["methods"]:
        table.add_column(NAMES[name], overflow="fold")
        table.add_column("logits", justify="right")
    for place in range(max(len(words) for words in ranked.values())):
        cells = []
        for words in ranked.values():
            word = words[place]
            part = "answer" if word.in_span else word.part
            cells += [Text.assemble(word.text, (f"  {part}", "dim")), Text(number(word.value))]
        table.add_row(*cells)
    return table


def _faithful(document: Mapping[str, Any]) -> Table:
    faithful = document["faithfulness"]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("faithfulness")
    for title in ("comprehensiveness", "beats random", "sufficiency", "beats random"):
        table.add_column(title, justify="right")
    for name, found in faithful["methods"].items():
        cells = []
        for kind in ("comprehensiveness", "sufficiency"):
            cells += [f"{found[kind]['area']:.3f}", f"{100 * found[kind]['beats']:.0f} %"]
        table.add_row(NAMES[name], *cells)
    means = [faithful["random"][kind]["area"][0] for kind in ("comprehensiveness", "sufficiency")]
    table.add_row(
        f"{faithful['orders']} random orders", f"{means[0]:.3f}", "", f"{means[1]:.3f}", ""
    )
    return table


def _strongest(texts: Sequence[str], values: Sequence[float | None], most: int) -> str:
    places = [place for place, value in enumerate(values) if value is not None and value > 0]
    places.sort(key=lambda place: (-(values[place] or 0.0), place))
    return "  ".join(f"{texts[place]} {number(values[place], 1)}" for place in places[:most])
