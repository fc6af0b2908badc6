import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from qa_research.explain.words.page import (
    attribution_page,
    coloured_pieces,
    folder_name,
    level_of,
    steps_page,
    write_attribution,
)
from qa_research.explain.words.result import ExplainedWindow
from qa_research.explain.words.show import show_attribution, show_steps
from qa_research.text import disarmed
from tests.explain.words.attributions import (
    CONTEXT,
    QUESTION,
    an_attribution,
    over_steps,
    text_of,
)

HOSTILE = '</script><b>bold</b><!-- <script> "quoted" & \u2028'
BOTH = pytest.mark.parametrize(
    ("page", "make"), [(attribution_page, an_attribution), (steps_page, over_steps)]
)


class Page(HTMLParser):
    """What a browser's parser finds: tags, the text, and the text of each script and style."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.inline, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inline.append("")

    def handle_data(self, data):
        if self.cdata_elem:
            self.inline[-1] += data
        else:
            self.text += data


@BOTH
def test_a_page_needs_nothing_else_and_runs_only_its_own_script(page, make):
    text = page(make())
    assert not re.search(r"https?:|//\w+\.|@import|url\(", text)
    found = Page(text)
    assert not [tag for tag in found.tags if {"src", "href", "style", "onclick"} & set(tag[1])]
    policy = next(attrs["content"] for _, attrs in found.tags if "http-equiv" in attrs)
    style, script = found.inline[0], found.inline[-1]
    for kind, source in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'getElementById\("([\w-]+)"', script)) <= set(ids)


@BOTH
def test_hostile_text_stays_text(page, make):
    plain = Page(page(make()))
    text = text_of()
    n = len(HOSTILE)
    words = [replace(word, text=HOSTILE) for word in text.words]
    for i, word in enumerate(words):
        if word.part == "question":
            words[i] = replace(word, char_start=word.char_start + n, char_end=word.char_end + n)
    hostile = replace(text, question=HOSTILE + QUESTION, words=tuple(words))
    found = Page(page(make(text=hostile, quantity=HOSTILE, run=HOSTILE)))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert disarmed(HOSTILE) in found.text and found.inline[-1] == plain.inline[-1]
    assert json.loads(found.inline[-2])["words"][0] == disarmed(HOSTILE)


def test_without_a_script_each_method_shows_the_full_text_for_each_output():
    found = Page(attribution_page(an_attribution()))
    assert found.text.count(QUESTION) >= 9 and found.text.count(CONTEXT) == 9
    shown = [attrs.get("id") for tag, attrs in found.tags if tag == "input"]
    assert shown == ["show-span", "show-start", "show-end"]
    checked = [attrs["id"] for tag, attrs in found.tags if tag == "input" and "checked" in attrs]
    assert checked == ["show-span"]
    tips = [attrs["title"] for _, attrs in found.tags if "title" in attrs]
    n = len(text_of().words)
    assert len(tips) == 9 * n and f"rank 1 of {n}" in " ".join(tips)


def test_the_page_has_the_warnings_the_numbers_and_how_to_keep_the_answer():
    text = Page(attribution_page(an_attribution(warnings=("LIME is not reliable.",)))).text
    for part in ("LIME is not reliable.", "0.400", "95 %", "--keep-answer", "20 random orders"):
        assert part in text


def test_a_map_has_a_cell_for_each_word_and_step_and_a_line_between_the_texts():
    found = Page(steps_page(over_steps()))
    cells = [tag for tag, _ in found.tags if tag == "td"]
    words = text_of().words
    assert len(cells) == len(words) * 3 * 2 * 3
    rows = [attrs["class"] for tag, attrs in found.tags if tag == "tr" and "class" in attrs]
    assert rows == 6 * _classes(words)
    assert "Dr Obi" in found.text


def _classes(words):
    """Of a map's rows: the first word of the context is marked."""
    parts = [word.part for word in words]
    parts[parts.index("context")] += " first"
    return parts


def test_pieces_joined_are_the_text_even_outside_the_window():
    text = text_of()
    words = [word for word in text.words if word.part == "question" or word.char_start >= 19]
    text = replace(text, words=tuple(words), window=ExplainedWindow(0, 3, 19, 40))
    pieces = coloured_pieces(text, (None, *[0.5] * (len(words) - 1)))
    assert "".join(piece.text for piece in pieces["context"]) == CONTEXT
    assert pieces["context"][0].is_outside and not pieces["context"][1].is_outside
    assert pieces["question"][0].level == "fixed" and pieces["question"][0].tip == "always on"


def test_levels_are_signed_and_relative_to_the_strongest():
    values = {2.0: "p8", -2.0: "n8", 1.0: "p4", 0.01: "zero", 0.0: "zero", None: "fixed"}
    assert {value: level_of(value, 2.0) for value in values} == values
    assert level_of(0.0, 0.0) == "zero"


@pytest.mark.parametrize("make", [an_attribution, over_steps])
def test_files_are_written_and_equal_when_written_again(make, tmp_path):
    one = write_attribution(make(), tmp_path / "a")
    other = write_attribution(make(), tmp_path / "b")
    assert one.page.read_bytes() == other.page.read_bytes()
    assert one.numbers.read_bytes() == other.numbers.read_bytes()
    assert type(make()).load(one.numbers) == make()
    assert one.picture.read_bytes()[:4] == b"\x89PNG"


def test_a_folder_is_named_after_the_question():
    assert folder_name("Who leads judo?", "best", ["a"]).startswith("who_leads_judo-best-")
    assert folder_name("Who?", "best", ["a"]) != folder_name("Who?", "best", ["b"])
    assert folder_name("谁?", "best", ["a"]).startswith("best-")


def test_the_terminal_shows_words_numbers_and_warnings(capsys):
    show_attribution(an_attribution(warnings=("[bold]Beware[/bold] of it.",)))
    out = capsys.readouterr().out
    for part in ("Dr Obi", "0.750", "LIME", "19 of 20", "! [bold]Beware[/bold] of it."):
        assert part in out
    show_steps(over_steps(), 3)
    out = capsys.readouterr().out
    assert "q5" in out and "66.7" in out


@pytest.mark.skipif(shutil.which("node") is None, reason="node checks the script's syntax")
def test_the_script_is_javascript():
    script = Page(attribution_page(an_attribution())).inline[-1]
    command = ["node", "--check", "--input-type=commonjs", "-"]
    checked = subprocess.run(command, input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["gradients", "erasure", "lime"])
def test_one_method_is_enough_for_a_page(name, tmp_path, capsys):
    result = an_attribution(names=(name,))
    files = write_attribution(result, tmp_path)
    assert files.page.read_text().count(CONTEXT) == 0
    assert Page(files.page.read_text()).text.count(CONTEXT) == 3
    show_attribution(result)
    assert "Dr Obi" in capsys.readouterr().out
