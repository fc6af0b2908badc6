import base64
import hashlib
import json
import re
import shutil
import subprocess
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from qa_research.explain.images.page import (
    explanation_data,
    explanation_page,
    runs,
    scale_of,
    signed,
)
from qa_research.explain.images.result import Explanation
from qa_research.explain.images.sheet import draw_explanation
from tests.explain.images.explanations import (
    grid_segments,
    loaded,
    make_explanation,
    with_ties,
    write,
)
from tests.html_pages import ParsedPage

HOSTILE = '</script><b>bold</b><!-- <script> "quoted" & \u2028'


class Page(ParsedPage):
    @property
    def data(self) -> dict:
        return json.loads(
            next(text for attrs, text in self.inline if attrs.get("id") == "explanation")
        )

    @property
    def script(self) -> str:
        return self.inline[-1][1]

    def images(self) -> dict[str, str]:
        return {a.get("id") or a["alt"]: a["src"] for tag, a in self.tags if tag == "img"}


def page_of(explanation, figures=None):
    return Page(explanation_page(explanation, figures or {}))


def tiny_png() -> bytes:
    content = BytesIO()
    Image.new("RGB", (30, 15)).save(content, format="PNG")
    return content.getvalue()


def decoded(address):
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(content))))


def test_the_page_holds_the_segments_and_the_pictures_without_loss(tmp_path):
    explanation = loaded(tmp_path, n=5)
    page = page_of(explanation)
    found = page.data
    assert found == json.loads(json.dumps(explanation_data(explanation)))
    flat = np.repeat(found["runs"][::2], found["runs"][1::2])
    np.testing.assert_array_equal(
        flat.reshape(explanation.arrays.segments.shape), explanation.arrays.segments
    )
    images = page.images()
    np.testing.assert_array_equal(decoded(images["pixels"]), explanation.arrays.pixels)
    np.testing.assert_array_equal(decoded(images["off"]), explanation.arrays.off_pixels)
    assert decoded(images["heat"]).shape == explanation.arrays.pixels.shape


def test_runs_count_row_by_row():
    assert runs(np.array([[0, 0, 1], [1, 1, 0]])) == [0, 2, 1, 3, 0, 1]
    assert runs(np.zeros((2, 2), dtype=int)) == [0, 4]
    assert len(runs(grid_segments(150, 150))) < 5000


def test_the_slider_shows_the_surrogates_and_the_classifiers_probabilities(tmp_path):
    explanation = loaded(tmp_path / "a")
    data = explanation_data(explanation)
    coefficients = [segment.coefficient for segment in explanation.segments]
    surrogate = [one["surrogate"] for one in data["top_only"]]
    np.testing.assert_allclose(surrogate, 0.3 + np.cumsum([0, *coefficients]), atol=1e-5)
    assert data["top_off"][0]["surrogate"] == pytest.approx(surrogate[-1])
    measured = [one["classifier"] for one in data["top_off"]]
    assert measured == pytest.approx(explanation.curves.deletion.probability)
    without = explanation_data(loaded(tmp_path / "b", curves=False))
    assert {one["classifier"] for one in without["top_only"]} == {None}


def test_the_classifier_is_only_quoted_for_the_steps_it_was_asked(tmp_path):
    document, arrays = make_explanation(n=9, side=18)
    for curve in document["curves"].values():
        curve["share"], curve["probability"] = curve["share"][::3], curve["probability"][::3]
    data = explanation_data(Explanation.load(write(tmp_path, document, arrays)))
    asked = [k for k, one in enumerate(data["top_only"]) if one["classifier"] is not None]
    assert asked == [0, 3, 6, 9]


def test_the_page_needs_nothing_else(tmp_path):
    text = explanation_page(loaded(tmp_path), {"masks": tiny_png()})
    assert not re.search(r"https?:|//\w+\.|@import|url\(", text)
    loading = {"src", "href", "srcset", "action", "data"}
    addresses = [a[name] for _, a in Page(text).tags for name in loading & set(a)]
    assert len(addresses) == 4
    assert all(address.startswith("data:image/png;base64,") for address in addresses)


def test_hostile_text_stays_text(tmp_path):
    doubts = ["a doubt"]
    plain = page_of(loaded(tmp_path / "a", doubts=doubts, word="doubtful"))
    document, arrays = make_explanation(
        name=HOSTILE, label=HOSTILE, doubts=[HOSTILE], word="doubtful"
    )
    document["picture"]["notes"] = [HOSTILE]
    document["classifier"]["name"] = HOSTILE
    page = page_of(Explanation.load(write(tmp_path / "b", document, arrays)))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.text.count("<b>bold</b>") >= 10
    assert page.script == plain.script


def test_the_browser_may_run_only_the_pages_own_script(tmp_path):
    page = page_of(loaded(tmp_path))
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs)
    for kind, text in (("script", page.script), ("style", page.inline[0][1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not [tag for tag in page.tags if "style" in tag[1] or "onclick" in tag[1]]


def test_every_element_that_the_script_looks_up_exists(tmp_path):
    page = page_of(loaded(tmp_path))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([\w-]+)"', page.script)) <= set(ids)


def test_the_page_says_what_is_missing_and_shows_figures_without_a_script(tmp_path):
    explanation = loaded(tmp_path, exact=True, curves=False, counterfactual=False)
    figures = dict.fromkeys(("segments", "heat", "top"), tiny_png())
    text = explanation_page(explanation, figures)
    page = Page(text)
    assert "All 16 possible masks were predicted." in page.text
    assert "Deletion and insertion curves were not requested." in page.text
    assert "Blanked and predicted again" not in page.text
    assert page.text.count("exact") >= 4
    inside = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL).group(1)
    assert inside.count('<img src="data:image/png') == 3


def test_the_page_says_what_the_second_winner_had_at_first(tmp_path):
    text = " ".join(page_of(loaded(tmp_path)).text.split())
    assert "cup, was at first in place 2 with 6.0 %; now it has 55 %." in text
    assert "1espresso90 % cup55 %" in text


def test_a_row_of_the_table_has_rank_number_coefficient_and_interval(tmp_path):
    explanation = loaded(tmp_path, word="doubtful")
    text = " ".join(page_of(explanation).text.split())
    first, second = explanation.order[:2]
    assert f"1 {first} +0.400 25 % +0.370 to +0.430" in text
    assert f"2 {second} tied 2-3 +0.200 25 % +0.170 to +0.230" in text


def test_the_page_marks_every_tie_and_shows_the_stable_top(tmp_path):
    explanation = with_ties(tmp_path)
    page = page_of(explanation)
    text = " ".join(page.text.split())
    for rank, mark in enumerate((*["tied 1-2"] * 2, *["tied 3-6"] * 4, *["tied 7-9"] * 3), start=1):
        assert f"{rank} {explanation.order[rank - 1]} {mark} " in text
    assert len([1 for tag, attrs in page.tags if tag == "tr" and attrs.get("class") == "top"]) == 6
    data = explanation_data(explanation)
    assert (data["top"], data["top_name"]) == (6, "The stable top 6")
    assert [row["tied"] for row in data["segments"]][5:7] == [(3, 6), (7, 9)]
    assert "not checked: deletion, insertion" in text
    assert (
        "Not tried: another segmenter than grid or another baseline than grey, with which other parts of the "
        "picture may come first: qa-research explain -m 'image=<a \"b\">.png' segmenter=grid,quickshift "
        "lime.baseline=grey,blur" in text
    )


def test_numbers_are_signed_and_zero_is_not():
    assert [signed(x, 3) for x in (0.0214, -0.01, -0.0001, 0.0)] == [
        "+0.021",
        "−0.010",
        "0.000",
        "0.000",
    ]


def test_the_tables_scale_includes_zero_and_all_intervals(tmp_path):
    scale = scale_of(loaded(tmp_path / "a"))
    assert (scale.low, scale.high) == pytest.approx((-0.23, 0.43))
    assert (scale.of(scale.low), scale.of(scale.high)) == (1, 99)
    constant = scale_of(loaded(tmp_path / "b", constant=True))
    assert constant.zero == 1


def test_the_same_files_give_the_same_bytes(tmp_path):
    found = []
    for name in "ab":
        folder = write(tmp_path / name, *make_explanation(curves=False, counterfactual=False))
        stale = folder / "figures" / "second_heat.png"
        stale.parent.mkdir()
        stale.write_bytes(b"of another explanation")
        drawn = draw_explanation(folder)
        assert sorted(stale.parent.iterdir()) == sorted(drawn.figures)
        assert drawn.sheet == folder / "sheet.png" and drawn.page == folder / "explanation.html"
        assert {path.parent for path in drawn.figures} == {folder / "figures"}
        found.append([p.read_bytes() for p in (drawn.sheet, drawn.page, *drawn.figures)])
        assert not list(folder.rglob(".*.tmp"))
    assert found[0] == found[1]
    assert b"Software" not in found[0][0]


@pytest.mark.skipif(shutil.which("node") is None, reason="node checks the script's syntax")
def test_the_script_is_javascript(tmp_path):
    script = page_of(loaded(tmp_path)).script
    command = ["node", "--check", "--input-type=commonjs", "-"]
    checked = subprocess.run(command, input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
