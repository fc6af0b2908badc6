import json
import re
import shutil
import subprocess

import pytest

from qa_research.text import disarmed
from tests.html_pages import ParsedPage
from tests.report.test_comparison import make_page
from tests.watch.recordings import describe

HOSTILE = '</script><b>bold</b><!-- <script> "quoted" & \u2028'


class Page(ParsedPage):
    @property
    def data(self) -> dict:
        return json.loads(next(text for attrs, text in self.inline if attrs.get("id") == "live"))

    @property
    def script(self) -> str:
        return self.inline[-1][1]


def test_the_page_holds_the_reports_numbers(tmp_path):
    page = Page(make_page(tmp_path)[0])
    (question,) = page.data["question"]["questions"]
    assert [run["turned"] for run in question["runs"]] == [False, True]
    assert question["runs"][1]["opening"] == 20
    assert page.data["curves"]["charts"][0]["guessing"] == 30.0
    assert (
        "“a” and “b” score equally on these 2 questions." in page.text
        and "a: nothing was recorded" in page.text
    )


def test_the_head_that_rose_most_in_any_run_is_shown_in_all(tmp_path):
    page = Page(make_page(tmp_path)[0])
    assert [curve["values"] for curve in page.data["route"]["curves"]] == [[0, 0], [0, 0.75]]
    told = " ".join(page.text.split())
    assert "layer 4, head 2, which of 6 heads rose most with b, from 0.0 % to 75.0 %" in told


def test_the_page_needs_no_other_file_and_runs_no_other_script(tmp_path):
    text = make_page(tmp_path)[0]
    assert not re.search(r"https?:|@import|url\(", text)
    loading = {"src", "href", "srcset", "action", "data"}
    loaded = [attrs[key] for _, attrs in Page(text).tags for key in loading & attrs.keys()]
    assert all(address.startswith(("#", "data:")) for address in loaded)
    policy = next(attrs["content"] for _, attrs in Page(text).tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_hostile_text_stays_text(tmp_path):
    row = describe(f"Who is {HOSTILE}?", "Mr Birch", f"{HOSTILE} Mr Birch {HOSTILE}")
    row |= {"kind": HOSTILE, "id": HOSTILE}
    row["answers"] = ["Mr Birch", HOSTILE]
    page = Page(make_page(tmp_path / "a", row, HOSTILE, HOSTILE)[0])
    plain = Page(make_page(tmp_path / "b")[0])
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.data["question"]["questions"][0]["question"] == disarmed(row["question"])
    assert page.script == plain.script


def test_every_element_that_the_script_asks_for_exists(tmp_path):
    page = Page(make_page(tmp_path)[0])
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([\w-]+)"', page.script)) <= set(ids)


@pytest.mark.skipif(shutil.which("node") is None, reason="node checks the script's syntax")
def test_the_script_is_javascript(tmp_path):
    script = tmp_path / "page.js"
    script.write_text(Page(make_page(tmp_path)[0]).script)
    subprocess.run(["node", "--check", str(script)], check=True)
