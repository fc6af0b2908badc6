"""Whole reports of texts of all kinds, a context of 5,000 words among them: right in page and PDF."""

import io
import json
import shutil
import time

import pytest
from pypdf import PdfReader

from qa_research.report.passage import LONGEST
from tests.html_pages import ParsedPage
from tests.report.conftest import ANSWER, LONG_WORD, WORDS, outlandish

pytestmark = pytest.mark.slow
# On a machine that does nothing else a tenth of it is enough.
SECONDS = 90


@pytest.fixture(scope="module")
def runs(any_text, tmp_path_factory):
    """A copy of the runs."""
    return shutil.copytree(any_text, tmp_path_factory.mktemp("runs") / "runs")


def reported(verb, runs, *wanted):
    """The page of a report, and the PDF's text, both made through the verb."""
    start = time.perf_counter()
    code, out, err = verb("report", *wanted, "--runs", str(runs), "--json")
    assert code == 0, err
    assert time.perf_counter() - start < SECONDS
    written = json.loads(out)
    with open(written["page"], encoding="utf-8") as page, open(written["pdf"], "rb") as pdf:
        text, paper = page.read(), pdf.read()
    assert len(text.encode()) < 2_000_000 and len(paper) < 1_000_000
    assert written["characters_without_font"] == ["CJK", "emoji"]
    return ParsedPage(text), "\n".join(
        page.extract_text() for page in PdfReader(io.BytesIO(paper)).pages
    )


def assert_texts_are_right(page, printed):
    """What was asked stands in the page as it is, and in print but for the squares."""
    live = json.loads(next(text for attrs, text in page.inline if attrs.get("id") == "live"))
    shown = {one["id"]: one for one in live["question"]["questions"]}
    assert set(shown) == {"q57", "q7", "q50", "q1"}
    for identity, words in (("q57", 5000), ("q7", 5000), ("q50", 30), ("q1", 30)):
        asked = outlandish(int(identity[1:]), words)
        assert shown[identity]["question"] == asked["qas"][0]["question"]
        assert shown[identity]["true_texts"] == [ANSWER]
        for film in shown[identity]["runs"]:
            assert "".join(text for text, _ in film["segments"]) == asked["context"]
    # Longer than a line, so it is broken, and has all its letters.
    assert LONG_WORD not in printed and LONG_WORD in printed.replace("\n", "")
    for word in (
        "<b>bold</b>",
        "&amp;",
        '"quoted"',
        "Привет",
        "#set",
        "_under_",
        "[x](y)",
        "</script>",
    ):
        assert word in WORDS and word in printed, word
    assert "Who □ <i>teaches</i> 'chess' &" in printed and "שלום" in printed


def test_a_report_of_any_text(runs, verb):
    folder = str(next((runs / "pair").glob("*-s1-*")))
    code, _, err = verb("evaluate", folder, "--runs", str(runs))
    assert code == 0, err
    page, printed = reported(verb, runs, folder)
    assert_texts_are_right(page, printed)
    code, out, err = verb("report", folder, "--runs", str(runs), "--verify", "--json")
    assert code == 0 and json.loads(out)["faults"] == [], err


def test_a_report_of_several_runs_on_any_text(runs, verb):
    page, printed = reported(verb, runs, "pair")
    assert_texts_are_right(page, printed)
    # Of a long context the part around the answer is printed.
    assert len(printed) < 3 * LONGEST + 10_000
