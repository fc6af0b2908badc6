"""The numbers of a set of questions as a person reads them, on stdout."""

from qa_research.data.overview import Overview, Repeated, Spread
from qa_research.data.question import describe_bad_rows

BAD_ROWS_SHOWN = 5
KINDS_SHOWN = 12


def show_overview(found: Overview, where: str, tokenizer: str | None) -> None:
    """Counts, a table of lengths, then kinds, answers, repetitions and faults.

    `where` says which questions these are; `tokenizer` what counted tokens.
    """
    print(
        f"{where}: {_many(found.questions, 'question')}, {_many(found.contexts, 'context')}, "
        f"{_many(found.titles, 'title')}\n"
    )
    print(f"{'length of':<14}{'in':<12}{'min':>8}{'median':>10}{'mean':>10}{'95 %':>8}{'max':>8}")
    for name, by_unit in found.lengths.items():
        for i, (unit, spread) in enumerate(by_unit.items()):
            print(f"{'' if i else name:<14}{unit:<12}{_numbers(spread)}")
    print("a context counts once, for however many questions it serves", end="")
    print(f"; tokens are of {tokenizer}\n" if tokenizer else "\n")
    kinds = [f"{kind} {_share(n, found.questions)}" for kind, n in found.kinds.items()]
    more = f", and {len(kinds) - KINDS_SHOWN} more" if len(kinds) > KINDS_SHOWN else ""
    print(f"kinds             {', '.join(kinds[:KINDS_SHOWN])}{more}")
    print(f"unanswerable      {_share(found.unanswerable, found.questions)}")
    print(f"gold answers      {_histogram(found.answers_per_question)}")
    print(f"different ones    {_histogram(found.distinct_answers_per_question)}")
    print(f"                  {found.distinct_answers:,} different answers in all")
    for i, (what, repeated) in enumerate(found.repeated.items()):
        print(f"{'' if i else 'repeated':<18}{_repeated(what, repeated)}")
    print(f"not at its offset {_many(found.misplaced, 'question')} with such an answer")
    bad = describe_bad_rows(found.bad_rows, BAD_ROWS_SHOWN)
    shown = f": {bad}" if bad else ""
    print(f"unusable          {_many(len(found.bad_rows), 'question')}{shown}")


def _numbers(spread: Spread) -> str:
    return (
        f"{spread.minimum:>8,}{spread.median:>10,.1f}{spread.mean:>10,.1f}"
        f"{spread.percentile_95:>8,}{spread.maximum:>8,}"
    )


def _histogram(counts: dict[int, int]) -> str:
    return ", ".join(f"{number} for {_many(n, 'question')}" for number, n in counts.items())


def _repeated(what: str, repeated: Repeated) -> str:
    if not repeated.values:
        return f"{what}: none"
    return f"{what}: {repeated.values:,}, on {repeated.questions:,} questions"


def _share(number: int, total: int) -> str:
    return f"{number:,} ({100 * number / total:.1f} %)"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
