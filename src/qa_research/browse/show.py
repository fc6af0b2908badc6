"""Questions and search hits on stdout: highlighted on a terminal, with brackets around marks in a pipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from rich.text import Text

from qa_research.browse.catalogue import Hit, TextMatches
from qa_research.browse.view import Fit, QuestionView, RunAnswer, gold_texts
from qa_research.console import Screen, styled
from qa_research.tasks.answering.question import Question

Kind = Literal["gold", "run", "match", "name"]
BRACKETS: dict[str, tuple[str, str]] = {
    "gold": ("[[", "]]"),
    "match": ("[[", "]]"),
    "run": ("{{", "}}"),
    "name": ("", ""),
}
_STYLES = {
    "gold": "bold green reverse",
    "match": "bold reverse",
    "run": "bold magenta underline",
    "name": "bold",
}
# Where the run's answer overlaps a gold one, the run keeps its underline only.
_BOTH = "bold green reverse underline"


CHARACTERS_AROUND = 40
SAME_ID_SHOWN = 8
BEYOND = "not wholly in any window: it cannot be predicted exactly"
_BLANKS = str.maketrans("\n\r\t\u2028\u2029", "     ")


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters `begin` to `end` (exclusive) of a text, and what they are."""

    begin: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with marks, which may overlap.

    Not rich's Text: its offsets are those of what is shown, not those of the original.
    """

    text: str
    marks: tuple[Mark, ...] = ()

    def plain(self) -> str:
        """The text with brackets around its marks.

        Brackets of marks that overlap cross (`[[Ms {{Lund]] teaches}}`), those of nested marks nest.
        """
        outer_first = sorted(self._nonempty(), key=lambda mark: (mark.begin, -mark.end))
        # At one place closing brackets (0) come before opening ones (1), inner ones close first.
        brackets = []
        for i, mark in enumerate(outer_first):
            opening, closing = BRACKETS[mark.kind]
            brackets += [(mark.begin, 1, i, opening), (mark.end, 0, -i, closing)]
        pieces, at = [], 0
        for place, _, _, bracket in sorted(brackets):
            pieces += [self.text[at:place], bracket]
            at = place
        return "".join([*pieces, self.text[at:]])

    def styled(self) -> Text:
        """The text with its marks as styles."""
        marks = self._nonempty()
        edges = {0, len(self.text)}
        for mark in marks:
            edges |= {mark.begin, mark.end}
        pieces = []
        for begin, end in pairwise(sorted(edges)):
            kinds = [mark.kind for mark in marks if mark.begin <= begin and end <= mark.end]
            style = _STYLES[kinds[-1]] if kinds else ""
            if "gold" in kinds and "run" in kinds:
                style = _BOTH
            pieces.append((self.text[begin:end], style))
        return styled(*pieces)

    def _nonempty(self) -> list[Mark]:
        return [mark for mark in self.marks if mark.begin < mark.end]


Parts = Sequence[Marked | str]


def show_question(view: QuestionView) -> None:
    """The question, its context with the answers marked, and what is known of both."""
    row = view.row
    name = marked(f"{view.index}  {row.id}", "name")
    print_paragraph(name, f"   {view.source}, 0 to {view.total - 1}")
    print_paragraph()
    print_paragraph(marked(row.question, "name"))
    print_paragraph()
    print_paragraph(Marked(row.context, context_marks(row, view.answered)))
    print_paragraph()
    print_named(_facts(view))


def show_hits(hits: Sequence[Hit], first: int, total: int, more: str) -> None:
    """A line for each hit: index, id, the question, and where it contains what was searched for.

    The hits are those from number `first` (from 0) on of `total`; `more` says how to see others.
    """
    width = max(len(str(hit.index)) for hit in hits)
    print_named([(f"{hit.index:>{width}}  {hit.row.id}", _hit(hit)) for hit in hits])
    if len(hits) < total:
        print_paragraph(f"hits {first + 1:,} to {first + len(hits):,} of {total:,}; {more}")
    else:
        print_paragraph(f"{total:,} hit{'' if total == 1 else 's'}")


def marked(text: str, kind: Kind) -> Marked:
    """A text that is marked as a whole."""
    return Marked(text, (Mark(0, len(text), kind),))


def print_paragraph(*parts: Marked | str) -> None:
    """Print the parts as one paragraph, which only a terminal wraps."""
    console = Screen()
    console.print(_shown(console, parts))


def print_named(rows: Iterable[tuple[str, Parts]]) -> None:
    """Print a line for each row: its name, then its parts, which are aligned below each other."""
    console = Screen()
    console.table(
        ["", ""], [[styled((name, "dim")), _shown(console, parts)] for name, parts in rows]
    )


def _shown(console: Screen, parts: Parts) -> Text:
    pieces = [Marked(part) if isinstance(part, str) else part for part in parts]
    if console.is_terminal:
        return Text.assemble(*(piece.styled() for piece in pieces))
    return styled("".join(piece.plain() for piece in pieces))


def context_marks(row: Question, answered: RunAnswer | None) -> tuple[Mark, ...]:
    """The first gold answer, others that do not overlap it, and the run's answer.

    An answer that is not at its offset is not marked.
    """
    marks: list[Mark] = []
    for gold in row.answers:
        begin, end = gold.start, gold.start + len(gold.text)
        is_there = begin >= 0 and row.context[begin:end] == gold.text
        if is_there and all(end <= mark.begin or mark.end <= begin for mark in marks):
            marks.append(Mark(begin, end, "gold"))
    if answered and answered.text:
        marks.append(Mark(answered.char_start, answered.char_end, "run"))
    return tuple(marks)


def _hit(hit: Hit) -> list[Marked | str]:
    """The question with its matches marked; or, if these are only elsewhere, the question and that place."""
    by_place = {matches.place: matches for matches in reversed(hit.matches)}
    # In the order of PLACES: the dict above has the last place first.
    others = [name for name in reversed(by_place) if name != "question"]
    if in_question := by_place.get("question"):
        marks = tuple(Mark(begin, end, "match") for begin, end in in_question.spans)
        also = f" and {' and '.join(others)}" if others else ""
        return [Marked(hit.row.question.translate(_BLANKS), marks), f"  (question{also})"]
    shown = by_place.get("answer") or by_place["context"]
    places = f"  ({' and '.join(others)}: "
    return [hit.row.question.translate(_BLANKS), places, _excerpt(shown), ")"]


def _excerpt(matches: TextMatches) -> Marked:
    """The first match with its surroundings, in one line, from the start of a word to the end of one."""
    text = matches.text
    first, last = matches.spans[0]
    begin, end = max(0, first - CHARACTERS_AROUND), min(len(text), last + CHARACTERS_AROUND)
    left = right = ""
    if begin > 0:
        left = "..."
        begin = 1 + text.find(" ", begin, first) or begin
    if end < len(text):
        right = "..."
        end = max(last, text.rfind(" ", last, end))
    shift = len(left) - begin
    marks = tuple(Mark(a + shift, b + shift, "match") for a, b in matches.spans if b <= end)
    return Marked(left + text[begin:end].translate(_BLANKS) + right, marks)


def _facts(view: QuestionView) -> list[tuple[str, list[Marked | str]]]:
    row = view.row
    facts: list[tuple[str, list[Marked | str]]] = [
        ("title", [row.title or "-"]),
        ("kind", [row.kind]),
        *_golds(row),
    ]
    if view.fault:
        facts.append(("fault", [view.fault]))
    if view.same_id:
        shown = ", ".join(map(str, view.same_id[:SAME_ID_SHOWN]))
        more = len(view.same_id) - SAME_ID_SHOWN
        facts.append(("same id", [f"also at {shown}" + (f" and {more} more" if more > 0 else "")]))
    if view.fit:
        facts += _lengths(view.fit, view.tokenizer or "", bool(row.answers))
    if view.answered:
        facts += _answered(view.answered)
    return facts


def _golds(row: Question) -> list[tuple[str, list[Marked | str]]]:
    if not row.is_labelled:
        return [("answers", ["not given: the data do not say whether there is one"])]
    if not row.answers:
        return [("answers", ["none: the context does not answer it"])]
    facts: list[tuple[str, list[Marked | str]]] = []
    for gold in gold_texts(row):
        spans = " and ".join(f"{start} to {start + len(gold.text)}" for start in gold.starts)
        places = f"characters {spans}" if spans else "no answer_start"
        times = ""
        if len(row.answers) > 1:
            times = "given once, " if gold.times == 1 else f"given {gold.times} times, "
        where = f"   ({times}{places})"
        facts.append(("" if facts else "answers", [marked(gold.text, "gold"), where]))
    return facts


def _lengths(fit: Fit, tokenizer: str, has_answer: bool) -> list[tuple[str, list[Marked | str]]]:
    answer = "" if fit.answer_tokens is None else f", first answer {fit.answer_tokens}"
    tokens = f"question {fit.question_tokens}, context {fit.context_tokens}{answer}; "
    size = f"at most {fit.max_tokens} tokens that share {fit.stride_tokens}"
    facts: list[tuple[str, list[Marked | str]]] = [
        ("tokens", [f"{tokens}{fit.total_tokens} in one window   ({tokenizer})"])
    ]
    if not fit.windows:
        room = max(fit.room, 0)
        why = f"the question has {fit.question_tokens} tokens, but there is room for {room}"
        return [*facts, ("windows", [f"none of {size}: {why}"])]
    holding = [str(i) for i, window in enumerate(fit.windows, start=1) if window.holds_answer]
    if not has_answer:
        held = "there is no answer to hold"
    elif not holding:
        held = f"the first answer is {BEYOND}"
    else:
        windows = f"window{'s' if len(holding) > 1 else ''} {', '.join(holding)}"
        held = f"the first answer is wholly in {windows}"
    facts.append(("windows", [f"{len(fit.windows)} of {size}; {held}"]))
    if len(fit.windows) > 1:
        for i, window in enumerate(fit.windows, start=1):
            where = f"characters {window.char_start} to {window.char_end}, {window.tokens} tokens"
            facts.append(("", [f"{i}: {where}"]))
    return facts


def _answered(found: RunAnswer) -> list[tuple[str, list[Marked | str]]]:
    verdict = "right" if found.exact_match else "wrong"
    answer = marked(found.text, "run") if found.text else "no answer in this text"
    where = f", characters {found.char_start} to {found.char_end}" if found.text else ""
    scores = f"probability {found.probability:.3f}, score {found.score:.2f}{where}"
    return [
        ("run", [f"{found.run} ({found.checkpoint})"]),
        ("its answer", [answer, f"   ({scores})"]),
        ("", [f"{verdict}: exact match {found.exact_match:.0f}, F1 {found.f1:.2f}"]),
    ]
