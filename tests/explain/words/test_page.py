import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from qa_research.explain.words.page import (
    attribution_page,
    coloured_pieces,
    folder_name,
    level_of,
    number,
    steps_page,
    top_words,
    write_attribution,
)
from qa_research.explain.words.show import show_attribution, show_steps
from tests.explain.words.attributions import CONTEXT, QUESTION, describe_attribution, describe_steps

HOSTILE = '</script><b>bold</b><!-- <script> "quoted" & \u2028'
PAGES = ((attribution_page, describe_attribution), (steps_page, describe_steps))


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


@pytest.mark.parametrize(("page", "describe"), PAGES)
def test_a_page_needs_nothing_beside_it_and_runs_its_own_script_alone(page, describe):
    text = page(describe())
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


@pytest.mark.parametrize(("page", "describe"), PAGES)
def test_hostile_text_stays_text(page, describe):
    plain = Page(page(describe()))
    hostile = describe(quantity=HOSTILE, run=HOSTILE, warnings=[])
    for word in hostile["words"]:
        word["text"] = HOSTILE
    hostile["question"] = HOSTILE + QUESTION
    for word in hostile["words"]:
        if word["part"] == "question":
            word["char_start"] += len(HOSTILE)
            word["char_end"] += len(HOSTILE)
    found = Page(page(hostile))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert HOSTILE in found.text and found.inline[-1] == plain.inline[-1]
    assert json.loads(found.inline[-2])["words"][0] == HOSTILE


def test_without_a_script_each_method_shows_the_whole_text_for_each_output():
    found = Page(attribution_page(describe_attribution()))
    assert found.text.count(QUESTION) >= 9 and found.text.count(CONTEXT) == 9
    shown = [attrs.get("id") for tag, attrs in found.tags if tag == "input"]
    assert shown == ["show-span", "show-start", "show-end"]
    checked = [attrs["id"] for tag, attrs in found.tags if tag == "input" and "checked" in attrs]
    assert checked == ["show-span"]
    tips = [attrs["title"] for _, attrs in found.tags if "title" in attrs]
    n = len(describe_attribution()["words"])
    assert len(tips) == 9 * n and f"rank 1 of {n}" in " ".join(tips)


def test_warnings_numbers_and_the_way_to_keep_the_answer_are_said():
    text = Page(attribution_page(describe_attribution(warnings=["LIME cannot be believed."]))).text
    for said in ("LIME cannot be believed.", "0.400", "95 %", "--keep-answer", "20 random orders"):
        assert said in text


def test_a_map_has_a_cell_for_each_word_and_step():
    document = describe_steps()
    found = Page(steps_page(document))
    cells = [tag for tag, _ in found.tags if tag == "td"]
    assert len(cells) == len(document["words"]) * 3 * 2 * 3
    assert "Dr Obi" in found.text


def test_pieces_joined_are_the_text_also_outside_the_window():
    document = describe_attribution()
    document["words"] = [w for w in document["words"] if w["part"] == "question"] + [
        w for w in document["words"] if w["char_start"] >= 19 and w["part"] == "context"
    ]
    document["window"] |= {"char_start": 19, "char_end": 40, "of": 3}
    n = len(document["words"])
    pieces = coloured_pieces(document, [None, *[0.5] * (n - 1)])
    assert "".join(piece.text for piece in pieces["context"]) == CONTEXT
    assert pieces["context"][0].is_outside and not pieces["context"][1].is_outside
    assert pieces["question"][0].level == "fixed" and pieces["question"][0].tip == "always on"


def test_levels_are_signed_and_of_the_strongest():
    assert [level_of(v, 2.0) for v in (2.0, -2.0, 1.0, 0.01, 0.0, None)] == [
        *("p8", "n8", "p4", "zero", "zero", "fixed")
    ]
    assert level_of(0.0, 0.0) == "zero"
    assert (number(1.234), number(-0.5), number(None)) == ("+1.23", "−0.50", "–")


def test_the_top_words_are_the_largest_by_sign():
    words = top_words(describe_attribution(), "lime")
    values = [word.value for word in words]
    assert values == sorted(values, reverse=True) and len(values) == 3
    assert words[0].low == words[0].value


def test_files_are_written_and_equal_when_written_again(tmp_path):
    for describe in (describe_attribution, describe_steps):
        one = write_attribution(describe(), tmp_path / describe.__name__ / "a")
        other = write_attribution(describe(), tmp_path / describe.__name__ / "b")
        assert one.page.read_bytes() == other.page.read_bytes()
        assert one.numbers.read_bytes() == other.numbers.read_bytes()
        assert json.loads(one.numbers.read_text()) == describe()
        assert one.picture.read_bytes()[:4] == b"\x89PNG"


def test_a_folder_is_named_after_the_question():
    assert folder_name("Who leads judo?", "best", ["a"]).startswith("who_leads_judo-best-")
    assert folder_name("Who?", "best", ["a"]) != folder_name("Who?", "best", ["b"])
    assert folder_name("谁?", "best", ["a"]).startswith("best-")


def test_the_terminal_shows_words_numbers_and_warnings(capsys):
    show_attribution(describe_attribution(warnings=["[bold]Beware[/bold] of it."]))
    out = capsys.readouterr().out
    for said in ("Dr Obi", "0.750", "LIME", "95 %", "! [bold]Beware[/bold] of it."):
        assert said in out
    show_steps(describe_steps(), 3)
    out = capsys.readouterr().out
    assert "q5" in out and "66.7" in out


@pytest.mark.skipif(shutil.which("node") is None, reason="node checks the script's syntax")
def test_the_script_is_javascript():
    script = Page(attribution_page(describe_attribution())).inline[-1]
    command = ["node", "--check", "--input-type=commonjs", "-"]
    checked = subprocess.run(command, input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["gradients", "erasure", "lime"])
def test_one_method_alone_makes_a_page(name, tmp_path, capsys):
    document = describe_attribution(agreement=[])
    document["methods"] = {name: document["methods"][name]}
    faithful = document["faithfulness"]
    document["faithfulness"] = faithful | {"methods": {name: faithful["methods"][name]}}
    files = write_attribution(document, tmp_path)
    assert files.page.read_text().count(CONTEXT) == 0
    assert Page(files.page.read_text()).text.count(CONTEXT) == 3
    show_attribution(document)
    assert "Dr Obi" in capsys.readouterr().out
