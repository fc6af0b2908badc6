"""What checks found, a line each, and two examples as the network gets them."""

from collections.abc import Sequence

from qa_research.console import Screen, styled
from qa_research.sanity.bench import Bench
from qa_research.sanity.check import Checked
from qa_research.tasks.wiring import ShownRow
from qa_research.text import plural

COLOURS = {"ok": "green", "red": "bold red", "skipped": "dim"}
# Columns of a verdict, of a check's name, and of a part of an example.
VERDICT, NAME, PART = 9, 33, 28
SHOWN_EXAMPLES = 2


def show_check(checked: Checked, screen: Screen) -> None:
    """One line; of a red check also what was expected, and where to look."""
    found = checked.found
    verdict = (f"{found.verdict:<{VERDICT}}", COLOURS[found.verdict])
    screen.beside(
        styled(verdict, f"{checked.name:<{NAME}}", lines=False), styled(found.measured, lines=False)
    )
    if found.verdict == "red":
        for what, text in (("expected", found.expected), ("look at", found.look_at)):
            left = styled(" " * VERDICT, (f"{what:<{NAME}}", "bold"))
            screen.beside(left, styled(text, lines=False))


def show_end(checked: Sequence[Checked], seconds: float, screen: Screen) -> None:
    """How many checks are of which colour."""
    red = [one.name for one in checked if one.found.verdict == "red"]
    count = {kind: sum(one.found.verdict == kind for one in checked) for kind in COLOURS}
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    names = f": {', '.join(red)}" if red else ""
    screen.print(
        styled(
            f"{plural(count['ok'], 'check')} ok{skipped}, {len(red)} red{names}; {seconds:.0f} s"
        )
    )


def shown_examples(bench: Bench) -> list[ShownRow]:
    """Two rows of the first batch."""
    batch = bench.batches[0]
    rows = min(SHOWN_EXAMPLES, len(batch[bench.wiring.read]))
    return [bench.wiring.show(batch, row) for row in range(rows)]


def show_examples(rows: Sequence[ShownRow], screen: Screen) -> None:
    """Rows of a batch: each token with its part, type and mask, the label and the truth."""
    for number, row in enumerate(rows):
        screen.print()
        screen.print(styled(f"Row {number} of the first batch, {row.id}", lines=False))
        for name, text in [("label", row.label), ("truth", row.truth), *_runs(row)]:
            screen.beside(styled(f"  {name:<{PART}}", lines=False), styled(text, lines=False))


def _runs(row: ShownRow) -> list[tuple[str, str]]:
    """Stretches of tokens of one type, mask and part: what they are, and the tokens."""
    types = row.types or (None,) * len(row.tokens)
    found: list[tuple[tuple[object, ...], list[str]]] = []
    for token, *kind in zip(row.tokens, types, row.mask, row.parts, strict=True):
        if not found or found[-1][0] != tuple(kind):
            found.append((tuple(kind), []))
        found[-1][1].append(token)
    named = []
    for (kind_of, mask, part), tokens in found:
        of_type = "" if kind_of is None else f"type {kind_of}  "
        named.append((f"{part:<10}{of_type}mask {mask}", " ".join(tokens)))
    return named
