import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from qa_research.runs.patched import PatchedQuestion
from qa_research.text import disarmed
from qa_research.watch.film import make_film
from qa_research.watch.page import film_data, film_page
from tests.html_pages import ParsedPage
from tests.watch.recordings import describe, make_attention, make_heads, make_logits

STEPS = [0, 10, 20, 30, 40]
HOSTILE = '</script><b>bold</b><!-- <script> "quoted" & \u2028'


class Page(ParsedPage):
    @property
    def film(self) -> dict:
        return json.loads(next(text for attrs, text in self.inline if attrs.get("id") == "film"))

    @property
    def script(self) -> str:
        return self.inline[-1][1]


def film_of(row, with_attention=True, **change):
    attention = make_attention([row], STEPS, [0, 5], 2) if with_attention else None
    heads = make_heads(attention) if with_attention else None
    film = make_film(row, 0, make_logits([row], STEPS, 20), attention, heads)
    return replace(film, **change)


def test_the_page_holds_the_films_numbers():
    film = film_of(describe())
    found = Page(film_page(film, "a run")).film
    assert found == film_data(film)
    np.testing.assert_allclose(found["start"], film.start, atol=5.1e-6)


PATCHED = PatchedQuestion(
    other_asked=f"Who is {HOSTILE}?",
    other_answer=HOSTILE,
    steps=(10, 30),
    clean=(0.5, 6.0),
    corrupted=(0.4, -4.0),
    names=("heads.3.2", "feed_forward.1"),
    leads=((0.4, 0.4), (1.0, -4.5)),
)


def test_what_patching_found_stands_under_the_slider():
    film = film_of(describe())
    page = Page(film_page(film, "a run", patched=PATCHED))
    assert page.film["patching"]["leads"] == [[0.4, 0.4], [1.0, -4.5]]
    assert page.film["patching"]["names"] == ["heads.3.2", "feed_forward.1"]
    assert disarmed(HOSTILE) in page.text and [tag for tag, _ in page.tags].count("script") == 2
    without = Page(film_page(film, "a run"))
    assert "What carries the answer" in page.text
    assert "What carries the answer" not in without.text and "patching" not in without.film


def test_the_page_needs_no_other_file():
    text = film_page(film_of(describe()), "a run")
    assert not re.search(r"https?:|//\w+\.|@import|url\(", text)
    loading = {"src", "srcset", "action", "data"}
    page = Page(text)
    assert not [tag for tag in page.tags if loading & set(tag[1])]
    links = [(tag, names["href"]) for tag, names in page.tags if "href" in names]
    assert links == [("a", "index.html")]


def test_hostile_text_stays_text():
    row = describe(f"Who is {HOSTILE}?", "Mr Birch", f"{HOSTILE} Mr Birch {HOSTILE}")
    row |= {"title": HOSTILE, "kind": HOSTILE, "id": HOSTILE, "split": HOSTILE}
    row["answers"] = ["Mr Birch", HOSTILE]
    plain = Page(film_page(film_of(describe()), "a run"))
    page = Page(film_page(film_of(row), HOSTILE))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.film["question"] == disarmed(row["question"])
    assert "".join(text for text, _ in page.film["segments"]) == disarmed(row["context"])
    assert page.text.count("<b>bold</b>") >= 6
    assert page.script == plain.script


def test_the_browser_may_only_run_the_pages_own_script():
    page = Page(film_page(film_of(describe()), "a run"))
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs)
    style = page.inline[0][1]
    for kind, text in (("script", page.script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not [tag for tag in page.tags if "style" in tag[1] or "onclick" in tag[1]]


@pytest.mark.parametrize("with_attention", [True, False])
def test_every_element_that_the_script_asks_for_exists(with_attention):
    page = Page(film_page(film_of(describe(), with_attention), "a run"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    asked = set(re.findall(r'(?:byId|chartOf)\("([\w-]+)"', page.script))
    of_attention = {
        "map",
        "map-names",
        "map-readout",
        "heads",
        "layer",
        "head",
        "by-answer",
        "by-attention",
        "attention-step",
        "head-charts",
    }
    asked -= {"patching", "patching-leads"}
    assert asked - set(ids) == (set() if with_attention else of_attention)


def test_the_page_says_which_attention_is_missing(monkeypatch):
    row = describe()
    without = Page(film_page(film_of(row, with_attention=False), "a run"))
    assert "Attention was not recorded in this run." in without.text
    assert without.film["attention"] is None
    attention = make_attention([row], STEPS, [0, 5], 2)
    one = 2 * 2 * len(row["tokens"]) ** 2
    logits = make_logits([row], STEPS, 20)
    monkeypatch.setattr("qa_research.watch.film.ATTENTION_BYTES", 3 * one)
    thinned = Page(film_page(make_film(row, 0, logits, attention), "a run"))
    assert "3 of 5 captures, evenly spaced" in thinned.text
    assert thinned.film["attention"]["steps"] == [0, 20, 40]
    monkeypatch.setattr("qa_research.watch.film.ATTENTION_BYTES", 1)
    none = Page(film_page(make_film(row, 0, logits, attention), "a run"))
    assert "Attention was recorded, but is omitted here" in none.text
    assert "map" not in [attrs.get("id") for _, attrs in none.tags]


def test_no_text_of_the_page_is_there_twice():
    film = film_of(describe())
    page = Page(film_page(film, "a run"))
    assert page.text.replace(film.question + " - a run", "").count(film.question) == 1
    words = [attrs for tag, attrs in page.tags if "words" in attrs.get("class", "").split()]
    assert [attrs["id"] for attrs in words] == ["context"]


def test_the_page_says_where_the_true_answer_is():
    assert "True answer: Mr Birch." in Page(film_page(film_of(describe()), "a run")).text
    none = Page(film_page(film_of(describe(answer=None)), "a run"))
    assert "The question has no answer in this context." in none.text
    outside = Page(film_page(film_of(describe(), truth=(0, 0)), "a run"))
    assert "Mr Birch (not in the watched window of the context)" in outside.text


def test_a_page_of_the_usual_size_stays_below_fifteen_megabytes():
    steps = list(range(0, 1000, 10))
    row = describe()
    attention = make_attention([row], steps[::4], list(range(6)), 12)
    film = make_film(row, 0, make_logits([row], steps, 500), attention)
    size = len(film_page(film, "a run").encode())
    assert film.attention.weights.nbytes * 4 / 3 < size < 15e6


@pytest.mark.skipif(shutil.which("node") is None, reason="node checks the script's syntax")
def test_the_script_is_javascript():
    script = Page(film_page(film_of(describe()), "a run")).script
    command = ["node", "--check", "--input-type=commonjs", "-"]
    checked = subprocess.run(command, input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
