"""Efficacy on a terminal: one state, a table of all, questions while they are asked, repeated questions."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from qa_research.console import Screen, styled
from qa_research.efficacy.search import Plan, Round, SearchResult, Subject
from qa_research.efficacy.standings import Repeats, SearchCount, Standing
from qa_research.ledger.asked import QUESTIONS, AskedQuestion, State
from qa_research.runs.show import aligned_with_names
from qa_research.stats import Ratio, exact_ratio
from qa_research.text import singular

log = logging.getLogger(__name__)
SEARCHES_SHOWN = 20
SEARCHES_IN_TABLE = 8
# The 95 % point of fewer searches would be their longest.
SEARCHES_FOR_95_PERCENT = 20
# Enough of a sha256 to distinguish it from the one in the next row.
DIGITS = 6
QUESTIONS_SHOWN = 10
SECONDS_BETWEEN_LINES = 5.0
FAILURES_SHOWN = 3
# So that the table and one state say the same of them.
IMPORTED = "all right of all asked, in rounds of three: consistent, but over few searches too high on average"
ENDINGS = {
    "right": "",
    "done": "",
    "exhausted": "the order of questions is used up",
    "bound": "ended by --max-questions or --max-minutes",
    "stopped": "stopped",
    "failed": "gave up: the model fails on one question after the other",
}


def show_standing(standing: Standing) -> None:
    """All estimates of one state."""
    console = Screen()
    source, state = standing.source, standing.state
    of = "" if source.questions is None else f", {counted(source.questions, source.examples)}"
    console.print(f"\n{_state(state)}; {source.name} {source.split}{of}", markup=False)
    for name, text in _estimates(standing):
        console.print(f"  {name:<11}{text}")


def _estimates(standing: Standing) -> list[tuple[str, str]]:
    asked = f"{standing.asked:,} in {_searches(len(standing.searches))}"
    if standing.seconds:
        pace = standing.asked / standing.seconds
        asked += f", {standing.seconds:.1f} s, {pace:.0f} a second"
    rows = [("asked", asked), ("right", _right(standing))]
    if standing.first_gold:
        equal = f"{percent(standing.first_gold)} % equal the first gold answer, ignoring case"
        rows.append(("first gold", equal))
    if unbiased := _unbiased(standing):
        rows.append(("unbiased", unbiased))
    if standing.ratio is not None:
        rows.append(("a search", _needs(standing)))
    if sizes := lengths(standing.searches, SEARCHES_SHOWN):
        rows.append(("needed", sizes))
    if len(standing.kinds) > 1:
        kinds = "; ".join(f"{k} {percent(r)} of {r.asked}" for k, r in standing.kinds.items())
        rows.append(("by kind", kinds))
    if standing.failed:
        rows.append(("failed", f"{standing.failed:,}, counted neither as right nor as wrong"))
    if standing.expected_repeats is not None and len(standing.searches) > 1:
        chance = f"{standing.expected_repeats:.1f}"
        rows.append(("repeats", f"{standing.repeats:,} asked before; expected by chance: {chance}"))
    if standing.is_imported:
        rows.append(("imported", IMPORTED))
    return rows


def _right(standing: Standing) -> str:
    ratio = standing.ratio
    if ratio is None:
        return f"no {singular(standing.source.examples)} was answered"
    whole = " (the whole split)" if standing.is_whole else ""
    f1 = "" if standing.mean_f1 is None else f", mean F1 {100 * standing.mean_f1:.1f}"
    return f"{ratio.right:,} of {ratio.asked:,}: {percent(ratio)} %{whole}{f1}"


def _unbiased(standing: Standing) -> str:
    """The unbiased ratio, or why there is none; nothing where none is needed."""
    wanted = [search for search in standing.searches if search.goal == "right"]
    without = len([search for search in wanted if search.ending != "right"])
    if not wanted or standing.is_whole:
        return ""
    if standing.unbiased is not None:
        return f"{100 * standing.unbiased:.1f} % over {_searches(len(wanted) - without)}"
    if without:
        return f"unknown: {without:,} of {_searches(len(wanted))} found no right answer"
    if standing.is_imported:
        return "unknown: it takes two searches in rounds of three, and all of them one by one"
    if standing.failed:
        return "unknown: it takes searches in which no question failed"
    if len(wanted) > 1:
        return "unknown: it takes two searches in one order, each in whole rounds of one size"
    return "unknown: it takes two searches in one order; after one, right reads too high on average"


def _needs(standing: Standing) -> str:
    examples = standing.source.examples
    by_ratio, least, most = standing.needed, standing.needed_least, standing.needed_most
    if by_ratio.median is None or by_ratio.most is None:
        if least.median is None:
            return f"finds none: no {singular(examples)} of the split is answered right"
        return (
            "has found none yet; at the upper end of the interval it needs "
            f"{counted(least.median, examples)} at the median"
        )
    text = (
        f"needs {by_ratio.median:,} {_range(least.median, most.median)} at the median, "
        f"at most {by_ratio.most:,} {_range(least.most, most.most)} in 95 % of searches"
    )
    total = len([search for search in standing.searches if search.goal == "right"])
    if total > 1:
        text += f"; observed over {_searches(total)}: {_or_more(standing.observed.median)}"
    if total >= SEARCHES_FOR_95_PERCENT:
        text += f" and {_or_more(standing.observed.most)}"
    return text


def show_table(found: Sequence[Standing]) -> None:
    """A line for each state and source, the lengths of its latest searches last; a table for each task."""
    kinds = list(dict.fromkeys(standing.source.examples for standing in found))
    for place, examples in enumerate(kinds):
        if len(kinds) > 1:
            Screen().print(styled((f"{chr(10) if place else ''}{examples}", "bold")))
        _show_table_of([one for one in found if one.source.examples == examples], examples)


def _show_table_of(found: Sequence[Standing], examples: str) -> None:
    header = ["run", "step", "data", "right", "% [95 %]", "unbiased", "needs", "searches"]
    places = Counter(_place(standing) for standing in found)
    rows = [_cells(standing, places[_place(standing)] > 1) for standing in found]
    right = {1, 3, 4, 5, 6}
    console = Screen()
    lines = aligned_with_names(console, header, rows, right)
    console.print(styled((lines[0], "dim")))
    for line in lines[1:]:
        console.print(line)
    console.print(
        f"right: of the {examples} that count; needs: {examples} at the median, and in 95 % of searches"
    )
    if any(standing.unbiased is not None for standing in found):
        console.print(
            "%: consistent, but too high on average after few searches; unbiased: over searches until right"
        )
    if failed := sum(standing.failed for standing in found):
        console.print(f"{counted(failed, examples)} failed, counted neither as right nor as wrong")
    if any(standing.is_imported for standing in found):
        console.print(f"imported: {IMPORTED}")


def _place(standing: Standing) -> tuple[object, ...]:
    state, source = standing.state, standing.source
    return state.run, state.step, source.name, source.split


def _state(state: State) -> str:
    """The run and the step, if it is known."""
    return state.run if state.step is None else f"{state.run}, step {state.step}"


def _cells(standing: Standing, is_ambiguous: bool) -> list[str]:
    """`is_ambiguous`: another row differs only in weights or questions, so show which these are."""
    state, ratio, source = standing.state, standing.ratio, standing.source
    step = "-" if state.step is None else str(state.step)
    data = f"{source.name} {source.split}"
    if is_ambiguous:
        step += f" {(state.weights or '')[:DIGITS]}"
        data += f" {(source.fingerprint or '')[:DIGITS]}"
    unbiased = None if standing.is_whole else standing.unbiased
    needed = standing.needed
    has_none = needed.median is None or needed.most is None
    return [
        state.run + (" (imported)" if standing.is_imported else ""),
        step,
        data,
        f"{ratio.right}/{ratio.asked}" if ratio else "-",
        percent(ratio),
        "-" if unbiased is None else f"{100 * unbiased:.1f}",
        "-" if has_none else f"{needed.median}, {needed.most}",
        lengths(standing.searches, SEARCHES_IN_TABLE),
    ]


def show_repeats(found: Sequence[Repeats]) -> None:
    """For each state: how many repeats, how many by chance, and the questions asked most often."""
    console = Screen()
    for repeats in found:
        standing = repeats.standing
        state, source = standing.state, standing.source
        expected = standing.expected_repeats
        chance = "unknown, like the size of the split" if expected is None else f"{expected:.1f}"
        found_here = (
            f"{standing.repeats:,} of {standing.asked:,} had been asked before; expected by chance: {chance}"
            if standing.asked
            else "it is not known which questions were asked"
        )
        console.print(f"{_state(state)}; {source.name} {source.split}: {found_here}")
        for repeat in repeats.questions[:QUESTIONS_SHOWN]:
            what = f"  {repeat.id}  {repeat.question}" if repeat.question else ""
            if repeat.records:
                what = f"  in records {' & '.join(map(str, repeat.records))} of sample_indices"
            console.print(f"  {repeat.times} times {repeat.index:>6}{what}")
        if len(repeats.questions) > QUESTIONS_SHOWN:
            console.print(f"  and {len(repeats.questions) - QUESTIONS_SHOWN:,} more questions")


class AskingScreen:
    """Shows what is asked while it is asked: questions and searches on stdout, progress on stderr.

    `questions`: show each question; `quiet`: nothing on stdout.
    """

    def __init__(self, questions: bool, quiet: bool) -> None:
        self._questions = questions
        self._quiet = quiet
        self._console = Screen()
        self._searches = 0
        self._counted = self._right = self._failed = 0
        self._next_line = 0.0
        self._examples = QUESTIONS

    def begin(self, subject: Subject, seed: int) -> None:
        """Say who is asked, and from which questions."""
        source = subject.source
        where = f"{source.split} of {source.name}" if source.split != "file" else source.name
        self._examples = source.examples
        total = counted(len(subject.questions), source.examples)
        log.info("Asking %s, from %s: %s, seed %d", _state(subject.state), where, total, seed)
        self._counted = self._right = self._failed = self._searches = 0
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def round_asked(self, asked: Round, plan: Plan) -> None:
        """Show the questions of a round; or now and then how far it is."""
        is_shown = self._questions and not self._quiet and plan.goal == "right"
        for row in asked.rows:
            if row.counted:
                self._counted += 1
            if row.counts_as_right:
                self._right += 1
            if row.status == "failed":
                self._failed += 1
                if not is_shown and self._failed <= FAILURES_SHOWN:
                    log.warning("Question %s (%s) failed: %s", row.number, row.id, row.reason)
        if is_shown:
            self._show(asked)
        elif time.monotonic() >= self._next_line and self._counted:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            ratio = exact_ratio(self._right, self._counted)
            log.info("%s asked, %s %% right", f"{self._counted:,}", percent(ratio))

    def search_ended(self, found: SearchResult, plan: Plan) -> None:
        """Say how one search ended."""
        self._searches += 1
        if plan.goal != "right":
            pace = len(found.rows) / max(found.seconds, 1e-9)
            why = f" ({ENDINGS[found.ending]})" if ENDINGS[found.ending] else ""
            spent = f"{found.seconds:.1f} s, {pace:.0f} a second{why}"
            log.info("%s in %s", counted(len(found.rows), self._examples), spent)
        elif not self._quiet:
            self._print(self._ended(found))

    def nothing_to_ask(self, standing: Standing) -> None:
        """Say why nothing has to be asked."""
        if standing.is_whole:
            log.info("Nothing to ask: the whole split has been asked already")
        else:
            log.info("Nothing to ask: the interval is narrow enough already")

    def _ended(self, found: SearchResult) -> str:
        spent = f"{found.seconds:.1f} s"
        if found.ending == "right":
            what = f"right after {counted(found.counted, self._examples)}, {spent}"
        else:
            asked = counted(found.counted, self._examples)
            what = f"none right of {asked}, {spent}: {ENDINGS[found.ending]}"
        if not self._questions:
            return f"search {self._searches:>3}: {what}"
        if uncounted := len(found.rows) - found.counted - found.failed:
            what += f" ({uncounted} more of the last round were asked, but do not count)"
        return what

    def _show(self, asked: Round) -> None:
        asked_now = counted(len(asked.rows), self._examples)
        self._print(f"\nround {asked.number + 1}: {asked_now} in {asked.seconds:.2f} s")
        for row in asked.rows:
            if row.counted or row.status == "failed":
                self._show_question(row)

    def _show_question(self, row: AskedQuestion) -> None:
        mark, style = ("+", "green") if row.exact_match else ("-", "red")
        if row.status == "failed":
            mark, style = "!", "yellow"
        golds = " | ".join(dict.fromkeys(row.golds or ())) or "(no answer)"
        text = styled((f"{mark} {row.number:>6}  ", style), row.question or "", "\n")
        text += styled("          expected  ", golds, "\n")
        if row.status == "failed":
            text += styled(f"          failed    {row.reason}")
        else:
            answer = row.answer or "(no answer)"
            known = {"probability": row.probability, "F1": row.f1 and 100 * row.f1}
            forms = {"probability": ".3f", "F1": ".0f"}
            scores = [f"{k} {v:{forms[k]}}" for k, v in known.items() if v is not None]
            besides = f"   ({', '.join(scores)})" if scores else ""
            text += styled("          given     ", (answer, style), besides)
        self._console.print(text)

    def _print(self, text: str) -> None:
        self._console.print(text)


def percent(ratio: Ratio | None) -> str:
    """A ratio in percent with its interval: `33.3 [7.5, 70.1]`."""
    if ratio is None:
        return "-"
    if ratio.low == ratio.high:
        return f"{100 * ratio.value:.1f} [exact]"
    return f"{100 * ratio.value:.1f} [{100 * ratio.low:.1f}, {100 * ratio.high:.1f}]"


def lengths(searches: Sequence[SearchCount], most: int) -> str:
    """How many questions the latest searches for a right answer needed: `(12) ...,2,1,>3`.

    `>3`: three were not enough. `(12) ...`: there were 12, of which only the last are listed.
    """
    sizes = [
        f"{'' if search.ending == 'right' else '>'}{search.counted}"
        for search in searches
        if search.goal == "right"
    ]
    return (f"({len(sizes)}) ...," if len(sizes) > most else "") + ",".join(sizes[-most:])


def counted(number: int, examples: str) -> str:
    """`1 question`, `1,000 pairs`; `examples`: what several are called."""
    return f"{number:,} {singular(examples) if number == 1 else examples}"


def _searches(number: int) -> str:
    return f"{number:,} search{'' if number == 1 else 'es'}"


def _range(low: int | None, high: int | None) -> str:
    return f"[{low:,}, {'...' if high is None else f'{high:,}'}]"


def _or_more(number: int | None) -> str:
    return "more than were asked" if number is None else f"{number:,}"
