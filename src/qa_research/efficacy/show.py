"""What the models know, as a person reads it on stdout: all estimates of one state, and a table of all.

Asking, as a person watches it: questions and searches on stdout, progress on stderr.

Questions that were asked more than once, as a person reads them on stdout.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from qa_research.efficacy.search import Plan, Round, SearchResult, Subject
from qa_research.efficacy.standings import Repeats, SearchCount, Standing
from qa_research.ledger.asked import AskedQuestion
from qa_research.runs.show import aligned, console_out
from qa_research.stats import Ratio, exact_ratio

SEARCHES_SHOWN = 20
SEARCHES_IN_TABLE = 8
# So much of a sha256 tells it from the one beside it.
DIGITS = 6
SEARCHES_TO_TELL = 20


def percent(ratio: Ratio | None) -> str:
    """A ratio in percent with its interval."""
    if ratio is None:
        return "-"
    if ratio.low == ratio.high:
        return f"{100 * ratio.value:.1f} [exact]"
    return f"{100 * ratio.value:.1f} [{100 * ratio.low:.1f}, {100 * ratio.high:.1f}]"


def show_standing(standing: Standing) -> None:
    """All estimates of one state."""
    console = console_out()
    source, state, ratio = standing.source, standing.state, standing.ratio
    of = "" if source.questions is None else f", {questions(source.questions)}"
    console.print(
        f"\n{state.run}, step {state.step}; {source.name} {source.split}{of}", markup=False
    )
    rows = [("asked", f"{standing.asked:,} in {_searches(len(standing.searches))}")]
    if standing.seconds:
        pace = standing.asked / standing.seconds
        rows[0] = ("asked", f"{rows[0][1]}, {standing.seconds:.1f} s, {pace:.0f} a second")
    if ratio is None:
        rows.append(("right", "nothing was answered"))
    else:
        f1 = f", mean F1 {100 * standing.mean_f1:.1f}" if standing.mean_f1 is not None else ""
        exact = " (the whole split)" if standing.is_whole else ""
        rows.append(("right", f"{ratio.right:,} of {ratio.asked:,}: {percent(ratio)} %{exact}{f1}"))
    if standing.first_gold:
        rows.append(
            (
                "first gold",
                f"{percent(standing.first_gold)} % equal the first gold answer but for case",
            )
        )
    if standing.unbiased is not None and not standing.is_whole:
        wanted = [search for search in standing.searches if search.goal == "right"]
        ended = sum(search.ending == "right" for search in wanted)
        left_out = ""
        if ended < len(wanted):
            left_out = f"; {len(wanted) - ended} that found none are left out, so it reads too high"
        rows.append(
            ("unbiased", f"{100 * standing.unbiased:.1f} % over {_searches(ended)}{left_out}")
        )
    if ratio is not None:
        rows.append(("a search", _needs(standing)))
    if sizes := lengths(standing.searches, SEARCHES_SHOWN):
        rows.append(("needed", sizes))
    if len(standing.kinds) > 1:
        kinds = "; ".join(f"{k} {percent(r)} of {r.asked}" for k, r in standing.kinds.items())
        rows.append(("by kind", kinds))
    if standing.failed:
        rows.append(("failed", f"{standing.failed:,}, which count neither as right nor as wrong"))
    if standing.expected_repeats is not None and len(standing.searches) > 1:
        chance = f"{standing.expected_repeats:.1f}"
        rows.append(("repeats", f"{standing.repeats:,} asked before; chance alone: {chance}"))
    if standing.is_imported:
        rows.append(("imported", "in rounds of three, counted whole: the true ratio is higher"))
    for name, text in rows:
        console.print(f"  {name:<11}{text}", markup=False)


def show_table(found: Sequence[Standing]) -> None:
    """A line a state and source; the lengths of its searches stand last, as far as there is room."""
    header = ["run", "step", "data", "right", "% [95 %]", "unbiased", "needs", "searches"]
    places = Counter(_place(standing) for standing in found)
    rows = [_cells(standing, places[_place(standing)] > 1) for standing in found]
    right = {1, 3, 4, 5, 6}
    console = console_out()
    lines = aligned([header, *rows], right)
    if console.is_terminal and max(map(len, lines)) > console.width:
        # The name on a line of its own: folded in a column it could not be copied.
        lines = aligned([["", *header[1:]], *(["", *row[1:]] for row in rows)], right)
        lines[1:] = [f"{row[0]}\n{line}" for row, line in zip(rows, lines[1:], strict=True)]
    console.print(Text(lines[0], "dim"))
    for line in lines[1:]:
        console.print(line, markup=False)
    console.print(
        "right: of the questions that count; needs: at the median, and in 95 % of searches"
    )
    if failed := sum(standing.failed for standing in found):
        console.print(f"{questions(failed)} failed, and count neither as right nor as wrong")
    if any(standing.is_imported for standing in found):
        console.print(
            "imported: rounds of three were counted whole, so the true ratios are higher",
            markup=False,
        )


def _place(standing: Standing) -> tuple[object, ...]:
    state, source = standing.state, standing.source
    return state.run, state.step, source.name, source.split


def _cells(standing: Standing, is_ambiguous: bool) -> list[str]:
    """`is_ambiguous`: the row beside it differs in weights or questions alone, so say which these are."""
    state, ratio, source = standing.state, standing.ratio, standing.source
    unbiased = None if standing.is_whole else standing.unbiased
    needs = (standing.needed.median, standing.needed.most)
    return [
        state.run + (" (imported)" if standing.is_imported else ""),
        ("-" if state.step is None else str(state.step))
        + (f" {(state.weights or '')[:DIGITS]}" if is_ambiguous else ""),
        f"{source.name} {source.split}"
        + (f" {(source.fingerprint or '')[:DIGITS]}" if is_ambiguous else ""),
        f"{ratio.right}/{ratio.asked}" if ratio else "-",
        percent(ratio),
        "-" if unbiased is None else f"{100 * unbiased:.1f}",
        "-" if None in needs else f"{needs[0]}, {needs[1]}",
        lengths(standing.searches, SEARCHES_IN_TABLE),
    ]


def lengths(searches: Sequence[SearchCount], most: int) -> str:
    """How many questions each search for a right answer needed, the latest; >n: n were not enough."""
    sizes = [_length(search) for search in searches if search.goal == "right"]
    return (f"({len(sizes)}) ...," if len(sizes) > most else "") + ",".join(sizes[-most:])


def questions(number: int) -> str:
    """So many questions."""
    return f"{number:,} question{'' if number == 1 else 's'}"


def _needs(standing: Standing) -> str:
    by_ratio, least, most = standing.needed, standing.needed_least, standing.needed_most
    if by_ratio.median is None or by_ratio.most is None:
        if least.median is None:
            return "finds none: no question of the split is answered right"
        return f"has found none yet; needs at least {questions(least.median)} at the median"
    text = (
        f"needs {by_ratio.median:,} {_range(least.median, most.median)} at the median, "
        f"at most {by_ratio.most:,} {_range(least.most, most.most)} in 95 % of searches"
    )
    total = sum(search.goal == "right" for search in standing.searches)
    if total > 1:
        # The 95 % point of a few searches would be their longest.
        seen = standing.observed
        told = f"; seen over {_searches(total)}: {_or_more(seen.median)}"
        text += told + (f" and {_or_more(seen.most)}" if total >= SEARCHES_TO_TELL else "")
    return text


def _range(low: int | None, high: int | None) -> str:
    return f"[{low:,}, {'...' if high is None else f'{high:,}'}]"


def _or_more(number: int | None) -> str:
    return "more than was asked" if number is None else f"{number:,}"


def _length(search: SearchCount) -> str:
    bound = "" if search.ending == "right" else ">"
    return f"{bound}{search.counted}"


def _searches(number: int) -> str:
    return f"{number:,} search{'' if number == 1 else 'es'}"


log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 5.0
FAILURES_SHOWN = 3
ENDINGS = {
    "right": "",
    "done": "",
    "exhausted": "the order of questions is used up",
    "bound": "ended by --max-questions or --max-minutes",
    "stopped": "stopped",
    "failed": "given up: the model fails on one question after the other",
}


class AskingScreen:
    """Tells what is asked while it is asked. `questions`: show each one; `quiet`: progress alone."""

    def __init__(self, questions: bool, quiet: bool) -> None:
        self._questions = questions
        self._quiet = quiet
        self._console = console_out()
        self._searches = 0
        self._counted = self._right = self._failed = 0
        self._next_line = 0.0

    def begin(self, subject: Subject, seed: int) -> None:
        """Say who is asked from what."""
        source = subject.source
        where = f"{source.split} of {source.name}" if source.split != "file" else source.name
        log.info(
            "Asking %s, step %s, from %s: %s, seed %d",
            subject.state.run,
            subject.state.step,
            where,
            questions(len(subject.questions)),
            seed,
        )
        self._counted = self._right = self._failed = self._searches = 0
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def round(self, asked: Round, plan: Plan) -> None:
        """One round: its questions, or now and then how far it is."""
        for row in asked.rows:
            self._counted += row.counted
            self._right += bool(row.counted and row.exact_match)
            self._failed += row.status == "failed"
            is_shown = self._questions and not self._quiet and plan.goal == "right"
            if row.status == "failed" and not is_shown and self._failed <= FAILURES_SHOWN:
                log.warning("Question %s (%s) failed: %s", row.number, row.id, row.reason)
        if self._questions and not self._quiet and plan.goal == "right":
            self._show(asked)
        elif time.monotonic() >= self._next_line and self._counted:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            ratio = exact_ratio(self._right, self._counted)
            log.info("%s asked, %s %% right", f"{self._counted:,}", percent(ratio))

    def found(self, found: SearchResult, plan: Plan) -> None:
        """How one search ended."""
        self._searches += 1
        if plan.goal != "right":
            pace = len(found.rows) / max(found.seconds, 1e-9)
            why = f" ({ENDINGS[found.ending]})" if ENDINGS[found.ending] else ""
            spent = f"{found.seconds:.1f} s, {pace:.0f} a second{why}"
            log.info("%s in %s", questions(len(found.rows)), spent)
        if plan.goal != "right" or self._quiet:
            return
        spent = f"{found.seconds:.1f} s"
        if found.ending == "right":
            what = f"right after {questions(found.counted)}, {spent}"
        else:
            what = f"none right of {questions(found.counted)}, {spent}: {ENDINGS[found.ending]}"
        rest = len(found.rows) - found.counted - sum(r.status == "failed" for r in found.rows)
        if rest and self._questions:
            what += f" ({rest} more of the last round were asked too, and do not count)"
        self._print(f"search {self._searches:>3}: {what}" if not self._questions else what)

    def already(self, standing: Standing) -> None:
        """Nothing has to be asked."""
        what = (
            "it was asked the whole split" if standing.is_whole else "the interval is narrow enough"
        )
        log.info("Nothing is asked: %s", what)

    def _show(self, asked: Round) -> None:
        self._print(
            f"\nround {asked.number + 1}: {questions(len(asked.rows))} in {asked.seconds:.2f} s"
        )
        for row in asked.rows:
            if row.counted or row.status == "failed":
                self._show_question(row)

    def _show_question(self, row: AskedQuestion) -> None:
        mark, style = ("+", "green") if row.exact_match else ("-", "red")
        if row.status == "failed":
            mark, style = "!", "yellow"
        self._console.print(
            Text.assemble((f"{mark} {row.number:>6}  ", style), row.question or "", "\n")
            + Text.assemble("          expected  ", _golds(row), "\n")
            + (
                Text(f"          failed    {row.reason}")
                if row.status == "failed"
                else Text.assemble(
                    "          given     ",
                    (row.answer or "(no answer)", style),
                    f"   (probability {row.probability:.3f}, F1 {100 * (row.f1 or 0):.0f})",
                )
            )
        )

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)


def _golds(row: AskedQuestion) -> str:
    distinct = list(dict.fromkeys(row.golds or ()))
    return " | ".join(distinct) or "(no answer)"


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
