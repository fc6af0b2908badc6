"""Asking, as a person watches it: questions and searches on stdout, progress on stderr."""

import logging
import time

from rich.text import Text

from qa_research.answer.efficacy import Found, Plan, Round, Subject
from qa_research.ledger.asked import AskedQuestion
from qa_research.ledger.estimates import exact_ratio
from qa_research.ledger.standings import Standing
from qa_research.run.show_runs import console_out
from qa_research.run.show_standings import percent, questions

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

    def found(self, found: Found, plan: Plan) -> None:
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
