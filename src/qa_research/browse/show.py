"""Texts with marked parts, printed: highlighted on a terminal, between brackets in a pipe.

A question as a person reads it, and the hits of a search, on stdout.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qa_research.browse.catalogue import Found, Hit
from qa_research.browse.view import Fit, RunAnswer, Viewed, gold_texts
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
# Where the run's answer lies on the gold one, one colour must give way.
_BOTH = "bold green reverse underline"


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters `begin` to `end` (exclusive) of a text, and what they are."""

    begin: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with marks, which may overlap."""

    text: str
    marks: tuple[Mark, ...] = ()

    def plain(self) -> str:
        """The text with brackets around its marks.

        The brackets of marks that overlap cross (`[[Ms {{Lund]] teaches}}`), those of one that lies
        in another are nested.
        """
        longest_first = sorted(self._real(), key=lambda mark: (mark.begin, -mark.end))
        brackets = []
        for i, mark in enumerate(longest_first):
            opening, closing = BRACKETS[mark.kind]
            brackets += [(mark.begin, 1, i, opening), (mark.end, 0, -i, closing)]
        pieces, at = [], 0
        for place, _, _, bracket in sorted(brackets):
            pieces += [self.text[at:place], bracket]
            at = place
        return "".join([*pieces, self.text[at:]])

    def styled(self) -> Text:
        """The text with its marks as styles."""
        real = self._real()
        edges = sorted(
            {0, len(self.text), *(edge for mark in real for edge in (mark.begin, mark.end))}
        )
        styled = Text()
        for begin, end in pairwise(edges):
            kinds = [mark.kind for mark in real if mark.begin <= begin and end <= mark.end]
            style = _BOTH if {"gold", "run"} <= set(kinds) else _STYLES[kinds[-1]] if kinds else ""
            styled.append(self.text[begin:end], style)
        return styled

    def _real(self) -> list[Mark]:
        return [mark for mark in self.marks if mark.begin < mark.end]


def whole(text: str, kind: Kind) -> Marked:
    """A text that is marked from its first to its last character."""
    return Marked(text, (Mark(0, len(text), kind),))


def say(*parts: Marked | str) -> None:
    """Print the parts as one paragraph; only a terminal wraps it."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_styled(parts))
    else:
        print(_plain(parts))


def say_named(rows: Iterable[tuple[str, Sequence[Marked | str]]]) -> None:
    """Print a line a row: its name, then its parts, which begin below each other."""
    rows = list(rows)
    console = Console(highlight=False)
    if console.is_terminal:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for name, parts in rows:
            table.add_row(Text(name, "dim"), _styled(parts))
        console.print(table)
        return
    width = max(len(name) for name, _ in rows)
    for name, parts in rows:
        print(f"{name:<{width}}  {_plain(parts)}")


def _plain(parts: Iterable[Marked | str]) -> str:
    return "".join(part if isinstance(part, str) else part.plain() for part in parts)


def _styled(parts: Iterable[Marked | str]) -> Text:
    marked = (Marked(part) if isinstance(part, str) else part for part in parts)
    return Text.assemble(*(part.styled() for part in marked))


CHARACTERS_AROUND = 40
TWINS_SHOWN = 8
BEYOND = "beyond all windows: cannot be answered exactly"
_BLANKS = str.maketrans("\n\r\t\u2028\u2029", "     ")


def show_question(viewed: Viewed) -> None:
    """The question, its context with the answers marked, and what is known of both."""
    row = viewed.row
    name = whole(f"{viewed.index}  {row.id}", "name")
    say(name, f"   {viewed.source}, 0 to {viewed.total - 1}")
    say()
    say(whole(row.question, "name"))
    say()
    say(Marked(row.context, context_marks(row, viewed.answered)))
    say()
    say_named(_facts(viewed))


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


def show_hits(hits: Sequence[Hit], first: int, total: int, more: str) -> None:
    """A line a hit: index, id, the question, and where the wanted text stands in it.

    The hits are those from number `first` (from 0) on of `total`; `more` says how to see others.
    """
    width = max(len(str(hit.index)) for hit in hits)
    say_named([(f"{hit.index:>{width}}  {hit.row.id}", _hit(hit)) for hit in hits])
    if len(hits) < total:
        say(f"hits {first + 1:,} to {first + len(hits):,} of {total:,}; {more}")
    else:
        say(f"{total:,} hit{'' if total == 1 else 's'}")


def _hit(hit: Hit) -> list[Marked | str]:
    """The question with the match marked, or, where it is only elsewhere, that beside it."""
    by_place = {found.place: found for found in reversed(hit.found)}
    others = [name for name in by_place if name != "question"][::-1]
    if in_question := by_place.get("question"):
        marks = tuple(Mark(begin, end, "match") for begin, end in in_question.spans)
        also = f" and {' and '.join(others)}" if others else ""
        return [Marked(hit.row.question.translate(_BLANKS), marks), f"  (question{also})"]
    shown = by_place.get("answer") or by_place["context"]
    return [
        hit.row.question.translate(_BLANKS),
        f"  ({' and '.join(others)}: ",
        _around(shown),
        ")",
    ]


def _around(found: Found) -> Marked:
    """The first match with its surroundings, in one line."""
    first, last = found.spans[0]
    begin = max(0, first - CHARACTERS_AROUND)
    if begin > 0:
        begin = 1 + found.text.find(" ", begin, first) or begin  # no half word
    end = min(len(found.text), last + CHARACTERS_AROUND)
    if end < len(found.text):
        end = max(last, found.text.rfind(" ", last, end))
    left, right = "..." * (begin > 0), "..." * (end < len(found.text))
    shift = len(left) - begin
    marks = tuple(Mark(a + shift, b + shift, "match") for a, b in found.spans if b <= end)
    return Marked(left + found.text[begin:end].translate(_BLANKS) + right, marks)


def _facts(viewed: Viewed) -> list[tuple[str, list[Marked | str]]]:
    row = viewed.row
    golds = gold_texts(row)
    facts: list[tuple[str, list[Marked | str]]] = [
        ("title", [row.title or "-"]),
        ("kind", [row.kind]),
    ]
    for gold in golds:
        ends = [f"{start} to {start + len(gold.text)}" for start in gold.starts]
        times = f"given {gold.times} times, " if len(row.answers) > 1 and gold.times > 1 else ""
        times = times or ("given once, " if len(row.answers) > 1 else "")
        where = f"   ({times}characters {' and '.join(ends)})"
        facts.append(("answers" if gold is golds[0] else "", [whole(gold.text, "gold"), where]))
    if not golds:
        facts.append(("answers", ["none: the context does not answer it"]))
    if viewed.fault:
        facts.append(("fault", [viewed.fault]))
    if viewed.same_id:
        shown = ", ".join(map(str, viewed.same_id[:TWINS_SHOWN]))
        more = len(viewed.same_id) - TWINS_SHOWN
        facts.append(("same id", [f"also at {shown}" + (f" and {more} more" if more > 0 else "")]))
    if viewed.fit:
        facts += _lengths(viewed.fit, viewed.tokenizer or "", bool(golds))
    if viewed.answered:
        facts += _answered(viewed.answered)
    return facts


def _lengths(fit: Fit, tokenizer: str, has_answer: bool) -> list[tuple[str, list[Marked | str]]]:
    answer = "" if fit.answer_tokens is None else f", first answer {fit.answer_tokens}"
    tokens = f"question {fit.question_tokens}, context {fit.context_tokens}{answer}; "
    size = f"at most {fit.max_tokens} tokens that share {fit.stride_tokens}"
    facts: list[tuple[str, list[Marked | str]]] = [
        ("tokens", [f"{tokens}{fit.total_tokens} in one piece   ({tokenizer})"])
    ]
    if not fit.windows:
        room = max(fit.room, 0)
        why = f"the question has {fit.question_tokens} tokens, and there is room for {room}"
        return [*facts, ("windows", [f"none of {size}: {why}"])]
    holding = [str(i) for i, part in enumerate(fit.windows, start=1) if part.holds_answer]
    if not has_answer:
        held = "no answer to hold"
    elif not holding:
        held = f"the first answer is {BEYOND}"
    else:
        windows = f"window{'s' if len(holding) > 1 else ''} {', '.join(holding)}"
        held = f"the first answer is wholly in {windows}"
    facts.append(("windows", [f"{len(fit.windows)} of {size}; {held}"]))
    if len(fit.windows) > 1:
        for i, part in enumerate(fit.windows, start=1):
            where = f"characters {part.char_start} to {part.char_end}, {part.tokens} tokens"
            facts.append(("", [f"{i}: {where}"]))
    return facts


def _answered(found: RunAnswer) -> list[tuple[str, list[Marked | str]]]:
    verdict = "right" if found.exact_match else "wrong"
    said = whole(found.text, "run") if found.text else "no answer in this text"
    where = f", characters {found.char_start} to {found.char_end}" if found.text else ""
    scores = f"probability {found.probability:.3f}, score {found.score:.2f}{where}"
    return [
        ("run", [f"{found.run} ({found.checkpoint})"]),
        ("its answer", [said, f"   ({scores})"]),
        ("", [f"{verdict}: exact match {found.exact_match:.0f}, F1 {found.f1:.2f}"]),
    ]
