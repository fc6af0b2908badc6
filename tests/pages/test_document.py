"""The document model in both renderers: what is said comes out, and nothing in it is obeyed."""

import io
import json
import re
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from qa_research.pages.document import (
    Code,
    Column,
    Command,
    Document,
    Key,
    Live,
    Paragraph,
    Picture,
    Quoted,
    Section,
    Table,
    Value,
)
from qa_research.pages.markup import digest, document_page, plain_text, table_of
from qa_research.pages.paper import own_font, signs_of, size_of
from qa_research.pages.pdf import document_pdf, picture_png
from qa_research.text import disarmed
from tests.hostile import HOSTILE
from tests.html_pages import ParsedPage

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="200pt" height="100pt" viewBox="0 0 200 100">'
    '<text x="10" y="50" font-family="DejaVu Sans">drawn words</text></svg>'
)


def value(text="29.0", **origin):
    return Value(text, {"run": 0, "file": "run.json", "take": "record", "form": "one"} | origin)


def picture(name="a_picture"):
    caption = ("What to see: ", value("7.5"), ".")
    return Picture(name, SVG, "a drawing of words", caption, {"step": [1, 2], "loss": [0.5]})


def document(text="plain words", title="A title", *blocks):
    table = Table(
        (Column("kind"), Column("score", True)),
        ((("match",), (value("12.3"), " [", value("4.5"), "]")),),
        ("Of ", value("800"), " questions."),
    )
    lead = (Paragraph((text, " and ", value(), Quoted(text), Code(text)), "verdict"), table)
    shown = (picture(), Command("qa-research report 'a b'", "Again:"), Paragraph((text,), "lack"))
    return Document(title, lead, (Section("first", "First", (*shown, *blocks)),), moment=1764000000)


def page_of(made):
    return document_page(made, "qa_research.report", "report.css", ("report.js",), {"runs": []})


def text_of(pdf):
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def test_every_value_is_on_the_page_with_its_origin():
    made = document()
    page = ParsedPage(page_of(made))
    (origins,) = [json.loads(text) for attrs, text in page.inline if attrs.get("id") == "origins"]
    assert [one["text"] for one in origins["values"]] == [one.text for one in made.values()]
    assert [one.text for one in made.values()] == ["29.0", "800", "12.3", "4.5", "7.5"]
    places = [attrs["value"] for tag, attrs in page.tags if tag == "data"]
    assert sorted(map(int, places)) == list(range(5))
    assert origins["pictures"] == {"a_picture": digest(picture())}


def test_the_pdf_has_the_same_words_and_says_what_it_is():
    pdf = document_pdf(document()).content
    text = text_of(pdf)
    for words in (
        "A title",
        "plain words and 29.0",
        "12.3 [4.5]",
        "What to see: 7.5.",
        "drawn words",
    ):
        assert words in text, words
    reader = PdfReader(io.BytesIO(pdf))
    metadata = reader.xmp_metadata.stream.get_data().decode()
    assert "pdfuaid:part>1<" in metadata and "pdfaid:part>2<" in metadata
    assert "pdfaid:conformance>A<" in metadata
    assert reader.trailer["/Root"]["/Lang"] == "en" and "/StructTreeRoot" in reader.trailer["/Root"]


def test_the_same_document_is_the_same_bytes():
    assert page_of(document()) == page_of(document())
    assert document_pdf(document()) == document_pdf(document())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_is_obeyed(text):
    page, plain = ParsedPage(page_of(document(text, text))), ParsedPage(page_of(document()))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "29.0" in text_of(document_pdf(document(text, text)).content)


@pytest.mark.parametrize(
    "text",
    [
        '#panic("no")',
        "*_`$x^2$ @label <label>",
        '"\\u{41}" \\',
        "// comment",
        "= heading",
        "[x](y)",
    ],
)
def test_typst_reads_no_text_as_its_language(text):
    assert text in text_of(document_pdf(document(text)).content).replace("\n", " ")


def test_what_moves_is_drawn_on_the_screen_and_stands_still_on_paper():
    values = {"names": [""], "label": "exact match", "charts": []}
    made = document("words", "A title", Live("curves", values, (Paragraph(("only on paper",)),)))
    page = page_of(made)
    assert 'id="curve-charts"' in page and "only on paper" not in page
    assert "only on paper" in text_of(document_pdf(made).content)


def test_characters_without_a_font_are_named_and_squares_stand_for_them():
    made = document("東京 is a 🎓 city; ὁ λόγος, Привет, שלום, مرحبا are words")
    pdf = document_pdf(made)
    assert pdf.absent == ("CJK", "emoji")
    text = text_of(pdf.content)
    assert "□□ is a □ city" in text and "Привет" in text and "λόγος" in text
    assert document_pdf(document()).absent == ()


def test_a_long_word_is_broken_in_print_and_keeps_its_letters():
    word = "Donaudampfschifffahrtsgesellschaftskapitän" * 4
    cells = Table((Column("a"), Column("b")), (((word,), (Quoted(word),)), (("x",), ("y",))))
    text = text_of(document_pdf(document(word, word, cells)).content)
    assert text.replace("\n", "").count(word) >= 5
    assert max(map(len, text.splitlines())) < 110


def test_a_text_of_another_direction_does_not_turn_what_is_around_it():
    def printed(quoted):
        made = document("words", "A title", Paragraph((Quoted(quoted), ": 3, ", Quoted("x"))))
        return text_of(document_pdf(made).content)

    # Without its own direction a number after it would be printed on its other side.
    assert "abc: 3, x" in printed("abc") and "שלום: 3, x" in printed("שלום")


# What our font has: letters that are joined, marks, what shows nothing; and some signs that it has not.
SIGNS = st.one_of(
    st.sampled_from([chr(number) for number in sorted(signs_of(own_font())) if number > 31]),
    st.sampled_from("aeiou \u05dc\u0644\u0627\u0301\u200d\ufe0f\ufeff\xad\u200b\u25a1"),
    st.characters(exclude_categories=("Cs", "Cc")),
)


@given(st.text(SIGNS, min_size=1, max_size=40))
@settings(max_examples=60)
def test_any_text_makes_a_pdf(text):
    drawing = SVG.replace("drawn words", escape(disarmed(text)))
    shown = Picture("drawing", drawing, "a drawing of words", (), {})
    made = Document("A title", (Paragraph((text, Quoted(text))),), (Section("a", "A", (shown,)),))
    assert document_pdf(made).content.startswith(b"%PDF")


def test_letters_with_marks_stay_whole_in_pictures():
    words = "nai\u0308f, \u05dc\u05b8\u05dd, a\u0305b, \ufeffend"
    shown = Picture("drawing", SVG.replace("drawn words", words), "words", (), {})
    pdf = document_pdf(Document("A title", (), (Section("a", "A", (shown,)),)))
    text = text_of(pdf.content)
    assert "naïf" in text and "ab" in text and "end" in text and pdf.absent == ()


def test_a_key_has_the_colour_of_its_line_and_says_nothing():
    made = document("words", "A title", Paragraph((Key("run-1", "#0b6e99"), "a run")))
    assert '<span class="key run-1" aria-hidden="true"></span>a run' in page_of(made)
    assert "a run" in text_of(document_pdf(made).content)
    assert plain_text((Key("run-1", "#0b6e99"), "a run")) == "a run"


def test_a_font_that_is_none_is_refused(tmp_path):
    font = tmp_path / "font.ttf"
    font.write_text("not a font")
    with pytest.raises(ValueError, match=re.escape(f"--font {font} cannot be read as a font")):
        document_pdf(document(), [font])


def test_pictures_have_a_size_a_table_and_an_image():
    assert size_of(SVG) == (200, 100)
    with pytest.raises(ValueError, match="no width and height"):
        size_of("<svg><g/></svg>")
    assert table_of(picture()) == "step,loss\r\n1,0.5\r\n2,\r\n"
    assert picture_png(picture(), 72).startswith(b"\x89PNG")
