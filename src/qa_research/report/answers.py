"""A report's answer page: of the last right and the most confidently wrong answer, how it came about.

From top to bottom as the old lab drew it: a unit by token, the logits by token, the text with the answer
marked, and the answer in numbers.
"""

from collections.abc import Iterator
from typing import Any

import xarray as xr

from qa_research.capture.kept import ANSWERS, ASKINGS, KeptAnswer, KeptAnswers
from qa_research.figures.logits import logits_at_three_steps, unit_at_places
from qa_research.pages.document import (
    Block,
    Column,
    Command,
    Paragraph,
    Passage,
    Piece,
    Quoted,
    Section,
    Table,
    Text,
)
from qa_research.report.passage import passage_of
from qa_research.report.pictures import picture
from qa_research.report.sources import Source, taken_from
from qa_research.report.watched import columns_of
from qa_research.text import command_line

NAME, HEADING = "answers", "Answers from the inside"
_ASKED = {"validation": "validation questions", "efficacy": "questions at random (efficacy)"}
_TOLD = {
    "last right": "The last right answer",
    "most confidently wrong": "The wrong answer that it was surest of",
}
_MEASURED = {
    "absolute": "the head weight that changed most since step 0 (absolute, ",
    "share": "the unit that adds most to the start logit of the first answer (",
}
# As decode.py has it, which would import torch.
NO_ANSWER = "(no answer)"


@taken_from(ANSWERS)
def kept_state(source: Source, asking: str, key: str) -> Any:
    """Of what was kept: step, checkpoint, asked, right; of the tracked unit: unit, row, amount."""
    state = source.kept[asking].state
    return getattr(state.tracked if key in ("unit", "row", "amount") else state, key)


@taken_from(ANSWERS)
def kept_answer(source: Source, asking: str, role: str, key: str) -> Any:
    """Of one answer: probability, score, char_start, char_end, windows, tokens, first or last token."""
    kept = source.kept[asking]
    number = [answer.role for answer in kept.answers].index(role)  # type: ignore[arg-type]
    axes = {"tokens": "tokens", "first": "true_first", "last": "true_last"}
    if key in axes:
        return int(kept.recording.read("logits")[axes[key]].isel(question=number))
    return getattr(kept.answers[number], key)


def answer_section(source: Source) -> Section:
    """The answers that were kept, or how to get them."""
    try:
        kept = source.kept
    except ValueError as error:
        return Section(NAME, HEADING, (Paragraph((f"{error}.",), "lack"), _command(source)))
    if not kept:
        lack = Paragraph(("No answers were kept of this run.",), "lack")
        return Section(NAME, HEADING, (lack, _command(source)))
    blocks: list[Block] = []
    for asking in ASKINGS:
        if asking in kept:
            blocks += _of_asking(source, kept[asking])
    return Section(NAME, HEADING, tuple(blocks))


def _command(source: Source) -> Command:
    line = command_line("qa-research", "evaluate", source.entry.name)
    return Command(line, "This asks the validation questions and keeps two answers:")


def _of_asking(source: Source, kept: KeptAnswers) -> Iterator[Block]:
    asking, tracked = kept.state.asking, kept.state.tracked

    def value(key: str, form: str = "whole") -> Piece:
        return source.value("kept_state", form, asking=asking, key=key)

    yield Paragraph(
        (
            "Of ",
            value("asked"),
            f" {_ASKED[asking]} the weights of step ",
            value("step"),
            " answered ",
            value("right"),
            " right. Traced is unit ",
            value("unit"),
            f", {_MEASURED[tracked.measure]}",
            value("row", "text"),
            " row, ",
            value("amount", "signed_digits"),
            ").",
        )
    )
    for number, answer in enumerate(kept.answers):
        yield from _page(source, kept, number, answer)


def _page(source: Source, kept: KeptAnswers, number: int, answer: KeptAnswer) -> Iterator[Block]:
    row = kept.recording.questions[number]
    tokens, asked = [str(token) for token in row["tokens"]], str(row["question"])
    name = f"{kept.state.asking}_{answer.role.replace(' ', '_')}"
    told: Text = (f"{_TOLD[answer.role]}: ", Quoted(asked), " ")
    if "activations" in kept.recording.recorders:
        inside = _marked(kept.recording.read("activations"))
        unit = kept.state.tracked.unit
        yield picture(
            f"{name}_unit",
            unit_at_places(inside, number, unit, tokens, asked),
            "The value of one unit by token at three places of the network.",
            (
                *told,
                "One unit by token at three places; its number means something else at each of them.",
            ),
            _unit_columns(inside, number, unit, tokens),
        )
        told = ()
    logits = _marked(kept.recording.read("logits"))
    own = logits["logit"].isel(question=number, step=-1, token=slice(len(tokens)))
    yield picture(
        f"{name}_logits",
        logits_at_three_steps(logits, number, tokens, asked),
        "The start and the end logit of every token.",
        (
            *told,
            "The logits: the answer starts and ends where they are highest together; shaded: the answer.",
        ),
        columns_of(own, "logit"),
    )
    yield Paragraph((_context(str(row["context"]), answer),))
    yield _numbers(source, kept, answer, asked)


def _marked(data: xr.Dataset) -> xr.Dataset:
    """The same; figures call the span that they mark what it is."""
    return data.assign_attrs(span="the answer")


def _unit_columns(
    data: xr.Dataset, number: int, unit: int, tokens: list[str]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"token": list(tokens)}
    layers = data["layer"].values.tolist()
    for place, layer in (
        ("context", layers[0]),
        ("context", layers[-1]),
        ("layer_output", layers[-1]),
    ):
        values = data[place].isel(question=number, step=-1).sel(unit=unit, layer=layer)
        found[f"{place} of layer {layer}"] = values.values[: len(tokens)].tolist()
    return found


def _context(context: str, answer: KeptAnswer) -> Passage:
    """The text, with the answer that was given and the first true one marked."""
    given = (answer.char_start, answer.char_end) if answer.answer else (0, 0)
    true = next(((at, at + len(text)) for text, at in answer.golds if at >= 0), (0, 0))
    return passage_of(context, true, given)


def _numbers(source: Source, kept: KeptAnswers, answer: KeptAnswer, asked: str) -> Table:
    def value(key: str, form: str = "whole") -> Piece:
        return source.value(
            "kept_answer", form, asking=kept.state.asking, role=answer.role, key=key
        )

    golds = " / ".join(dict.fromkeys(text for text, _ in answer.golds)) or NO_ANSWER
    ends: list[tuple[Text, ...]] = [
        (
            (f"{word}s at",),
            ("token ", value(token), " (character ", value(char), ")") if answer.answer else ("–",),
        )
        for word, token, char in (("start", "first", "char_start"), ("end", "last", "char_end"))
    ]
    rows: list[tuple[Text, ...]] = [
        (("question",), (Quoted(asked),)),
        (("answer",), (Quoted(answer.answer or NO_ANSWER),)),
        (("true answer",), (Quoted(golds),)),
        (("probability",), (value("probability", "probability"),)),
        (("start logit + end logit",), (value("score", "two"),)),
        *ends,
        (("tokens",), (value("tokens"), " in this window, of ", value("windows"))),
    ]
    caption = ("Above, shaded: the answer that was given; underlined: the true answer.",)
    return Table((Column(""), Column("")), tuple(rows), caption)
