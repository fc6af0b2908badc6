"""The answer page of a report."""

import dataclasses
import io

import pytest
from pypdf import PdfReader

from qa_research.capture.answers import keep_answers
from qa_research.capture.kept import read_kept
from qa_research.pages.document import (
    Command,
    Document,
    Paragraph,
    Passage,
    Picture,
    Section,
    Table,
)
from qa_research.pages.markup import document_page, plain_text
from qa_research.pages.pdf import document_pdf
from qa_research.report import answers as page
from qa_research.report.answers import answer_section
from qa_research.report.passage import shown_part
from qa_research.report.sources import Source
from qa_research.runs.open import open_run
from tests.capture.test_answers import asked
from tests.fake_runs import write_run
from tests.model_folders import write_model


@pytest.fixture
def source(tokenizer, tmp_path, questions):
    """A run that was asked its validation questions."""
    found = open_run(write_model(tmp_path / "m", tokenizer), runs=tmp_path / "none")
    directory = write_run(tmp_path / "runs", 1, right=[1.0] * 4, validations=1)
    opened = dataclasses.replace(found, is_run=True, directory=directory, step=7)
    keep_answers(opened, "validation", "builtin", asked(questions))
    return Source(directory)


def test_without_answers_the_command_that_keeps_them_is_named(tmp_path):
    directory = write_run(tmp_path / "runs", 1, right=[1.0] * 4, validations=1)
    lack, command = answer_section(Source(directory)).blocks
    assert isinstance(lack, Paragraph) and lack.kind == "lack"
    assert isinstance(command, Command) and command.line.startswith(
        "qa-research evaluate nopretrain/"
    )


def test_damage_is_told_in_the_section(source):
    (source.directory / "answers.zarr" / "validation" / "zarr.json").write_text("{")
    lack, _ = answer_section(Source(source.directory)).blocks
    assert lack.kind == "lack" and "is damaged" in plain_text(lack.text)


def test_unit_then_logits_then_text_then_numbers_of_each_answer(source):
    first, *blocks = answer_section(source).blocks
    assert plain_text(first.text).startswith(
        "Of 4 validation questions the weights of step 7 answered 2"
    )
    assert [type(block) for block in blocks] == [Picture, Picture, Paragraph, Table] * 2
    names = [block.name for block in blocks if isinstance(block, Picture)]
    assert names == [
        f"validation_{role}_{what}"
        for role in ("last_right", "most_confidently_wrong")
        for what in ("unit", "logits")
    ]
    (kept,) = read_kept(source.directory)
    for number, answer in enumerate(kept.answers):
        unit, logits, text, table = blocks[4 * number : 4 * number + 4]
        tokens = kept.recording.questions[number]["tokens"]
        assert unit.data["token"] == tokens and len(unit.data) == 4
        assert len(logits.data["logit"]) == 2 * len(tokens)
        assert kept.recording.questions[number]["question"] in plain_text(unit.caption)
        cells = {plain_text(row[0]): plain_text(row[1]) for row in table.rows}
        assert cells["answer"] == answer.answer and cells["tokens"].startswith(f"{len(tokens)} in")
        assert f"(character {answer.char_start})" in cells["starts at"]
        assert text.text[0].text == kept.recording.questions[number]["context"]


def test_every_value_is_taken_again(source):
    for block in answer_section(source).blocks:
        texts = [block.text] if isinstance(block, Paragraph) else []
        if isinstance(block, Table):
            texts = [cell for row in block.rows for cell in row]
        for value in (piece for text in texts for piece in text if hasattr(piece, "origin")):
            assert Source(source.directory).again(value.origin) == value.text


def test_a_passage_is_text_with_marks_and_nothing_of_it_is_obeyed():
    pieces = (
        ("<b> $x$ ", ""),
        ('"#[x]" & \u05e9\u05dc\u05d5\u05dd', "given"),
        ("*a*", "true"),
        ("_", "both"),
    )
    blocks = (Paragraph((Passage(pieces),)),)
    document = Document("Title", (), (Section("answers", "Answers", blocks),))
    html = document_page(document, "qa_research.report", "report.css", ("report.js",), {})
    assert '<bdi class="quoted">&lt;b&gt; $x$ <mark class="given">' in html
    assert '<mark class="true">*a*</mark><mark class="both">_</mark></bdi>' in html
    text = PdfReader(io.BytesIO(document_pdf(document).content)).pages[0].extract_text()
    assert "<b> $x$" in text and '"#[x]" &' in text and "*a*" in text


def marked(context: str, given: tuple[int, int], true: tuple[int, int]) -> Passage:
    answer = dataclasses.replace(
        page.KeptAnswer("last right", True, [], "", 0, 0, 0.5, 1.0, 1),
        golds=[(context[true[0] : true[1]], true[0])],
        answer=context[given[0] : given[1]],
        char_start=given[0],
        char_end=given[1],
    )
    return page._context(context, answer)


@pytest.mark.parametrize(
    ("given", "true", "pieces"),
    [
        ((2, 4), (2, 4), [("ab", ""), ("cd", "both"), ("efgh", "")]),
        ((0, 2), (6, 8), [("ab", "given"), ("cdef", ""), ("gh", "true")]),
        ((1, 5), (3, 8), [("a", ""), ("bc", "given"), ("de", "both"), ("fgh", "true")]),
        ((0, 0), (6, 8), [("abcdef", ""), ("gh", "true")]),
        ((2, 4), (0, 0), [("ab", ""), ("cd", "given"), ("efgh", "")]),
    ],
)
def test_the_answers_are_marked_in_the_text(given, true, pieces):
    assert list(marked("abcdefgh", given, true).pieces) == pieces


def test_of_a_long_text_the_part_around_the_answers_is_shown():
    text = "".join(chr(97 + i % 26) for i in range(20_000))
    found = marked(text, (9000, 9010), (9500, 9520))
    assert found.pieces[0][0] == found.pieces[-1][0][::-1] == "\u2026 "
    assert len(found.text) == 3000 + 4 and [mark for _, mark in found.pieces if mark] == [
        "given",
        "true",
    ]
    # Too far apart: around what was given.
    far = marked(text, (100, 110), (19_000, 19_010))
    assert [mark for _, mark in far.pieces if mark] == ["given"]
    assert shown_part(100, [(5, 9)]) == (0, 100) and shown_part(9000, [(8990, 9000)]) == (
        6000,
        9000,
    )
