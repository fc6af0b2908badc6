"""Questions that were asked more than once, as a person reads them on stdout."""

from collections.abc import Sequence

from qa_research.ledger.repeated import Repeats
from qa_research.run.show_runs import console_out

QUESTIONS_SHOWN = 10


def show_repeats(found: Sequence[Repeats]) -> None:
    """Each state: how many repeats, how many by chance, and the questions asked most often."""
    console = console_out()
    for repeats in found:
        standing = repeats.standing
        state, source = standing.state, standing.source
        chance = standing.expected_repeats
        told = "unknown: the size of the split is not known" if chance is None else f"{chance:.1f}"
        console.print(
            f"{state.run}, step {state.step}; {source.name} {source.split}: {standing.repeats:,} of "
            f"{standing.asked:,} asked had been asked before; by chance alone: {told}",
            markup=False,
        )
        for repeat in repeats.questions[:QUESTIONS_SHOWN]:
            what = f"  {repeat.id}  {repeat.question}" if repeat.question else ""
            console.print(f"  {repeat.times} times {repeat.index:>6}{what}", markup=False)
        if len(repeats.questions) > QUESTIONS_SHOWN:
            console.print(f"  and {len(repeats.questions) - QUESTIONS_SHOWN:,} more questions")
