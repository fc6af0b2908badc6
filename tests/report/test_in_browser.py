"""Reports of real runs in a browser: the slider, the choice of question and the charts do what they say."""

import json
import re
import shutil

import pytest

from qa_research.launch.compose import default_config
from qa_research.report.story import write_report
from tests.browser import (
    WRAPPER,
    assert_pages_fit,
    needs_axe,
    needs_chromium,
    open_page,
    serious_faults,
    write_wrapper,
)
from tests.html_pages import ParsedPage

pytestmark = [needs_chromium, pytest.mark.slow]
NAMES = ["one", "two", "one of any text", "two of any text"]
# Does with the page what a reader does, and notes after each act what the page shows.
READER = """<!doctype html><iframe src="%s" width="1200" height="1900"></iframe>
<pre id="found"></pre><script>
// Whether the true answer is in sight: a long text is scrolled within its box.
function isTruthSeen(box) {
  const truth = box.querySelector(".truth");
  if (!truth) return true;
  const [own, words] = [truth, box.querySelector(".words")].map((one) => one.getBoundingClientRect());
  return own.top >= words.top - 1 && own.bottom <= words.bottom + 1;
}
function read() {
  const page = document.querySelector("iframe").contentDocument;
  const byId = (id) => page.getElementById(id);
  const look = () => ({
    step: byId("step").textContent,
    asked: byId("asked").textContent,
    runs: [...byId("runs").children].map((box) => ({
      mark: box.querySelector(".mark").textContent,
      answer: box.querySelector(".answer q").textContent,
      chances: box.querySelector(".chances").textContent,
      truth: isTruthSeen(box),
      shades: [...box.querySelectorAll(".token")].map(({ style }) =>
        [style.getPropertyValue("--s"), style.getPropertyValue("--e")].map(Number)),
    })),
    markers: [...page.querySelectorAll("line.marker")].map((line) => Number(line.getAttribute("x1"))),
    charts: page.querySelectorAll(".charts svg").length,
  });
  const slider = byId("slider");
  const slide = (place) => {
    slider.value = place;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const seen = { opened: look() };
  slide(slider.max);
  seen.last = look();
  byId("back").click();
  seen.back = look();
  slide(0);
  seen.first = look();
  byId("on").click();
  seen.on = look();
  const chart = byId("truth-chart");
  const { right, top } = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointerdown", { clientX: right, clientY: top + 20, buttons: 1 }));
  seen.clicked = look();
  const which = byId("which");
  which.value = which.options.length - 1;
  which.dispatchEvent(new Event("change", { bubbles: true }));
  slide(0);
  seen.other = look();
  return seen;
}
window.addEventListener("load", () => setTimeout(() => {
  let found;
  try { found = read(); } catch (error) { found = { failed: String(error) }; }
  document.getElementById("found").textContent = JSON.stringify(found);
}, 1000));
</script>"""


@pytest.fixture(scope="module")
def pages(trained, any_text, tmp_path_factory):
    """A folder with reports of one run and of two, on the built-in questions and on texts of all kinds."""
    folder = tmp_path_factory.mktemp("pages")
    for found, of in ((trained, ""), (any_text, " of any text")):
        runs = shutil.copytree(found, folder / f"runs{of}")
        for name, wanted in (
            ("one", [str(next((runs / "pair").glob("*-s1-*")))]),
            ("two", ["pair"]),
        ):
            written = write_report(wanted, runs, folder / f"{name}{of}", default_config())
            shutil.copy(written.page, folder / f"{name}{of}.html")
    return folder


def assert_page_works(page, folder):
    """Read a report as its reader does: what moves shows what was recorded, and nothing goes wrong."""
    wrapper = page.with_name(f"read {page.name}")
    wrapper.write_text(READER % page.name, encoding="utf-8")
    opened = open_page(wrapper, folder)
    assert opened.errors == [] and opened.requests == []
    seen = opened.found
    assert "failed" not in seen, seen
    inline = ParsedPage(page.read_text(encoding="utf-8")).inline
    live = json.loads(next(text for attrs, text in inline if attrs.get("id") == "live"))
    first, *_, last = live["question"]["questions"]
    assert first["question"] != last["question"]
    steps = sorted({step for film in first["runs"] for step in film["steps"]})
    assert len(steps) >= 4
    for name, question, step in (
        ("opened", first, _opening(first)),
        ("last", first, steps[-1]),
        ("back", first, steps[-2]),
        ("first", first, steps[0]),
        ("on", first, steps[1]),
        ("clicked", first, steps[-1]),
        ("other", last, steps[0]),
    ):
        assert_shows(seen[name], question, step)
    charts = len(live["curves"]["charts"]) + 1 + bool(live.get("route"))
    for look in seen.values():
        assert look["charts"] == len(look["markers"]) == charts
    # The markers of all charts go to the same side.
    moved = [b > a for a, b in zip(seen["first"]["markers"], seen["last"]["markers"], strict=True)]
    assert all(moved)


def _opening(question):
    films = question["runs"]
    return next((film for film in films if film["turned"]), films[0])["opening"]


def assert_shows(look, question, step):
    """The page shows this question at this step in every run."""
    assert look["asked"] == question["question"] and look["step"] == f"step {step}"
    assert len(look["runs"]) == len(question["runs"])
    for shown, film in zip(look["runs"], question["runs"], strict=True):
        at = film["steps"].index(step)
        answer = film["answers"][at]
        assert shown["mark"] == ("✓ right" if answer["right"] else "✗ wrong")
        assert shown["answer"] == (answer["text"] or "no answer")
        assert shown["chances"].startswith(f"at step {step}: probability ") and shown["truth"]
        tokens = [token for _, token in film["segments"] if token is not None]
        shades = [
            [0.8 * film[end][at][token] ** 0.5 for end in ("start", "end")] for token in tokens
        ]
        assert [value for pair in shown["shades"] for value in pair] == pytest.approx(
            [value for pair in shades for value in pair], abs=6e-4
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_slider_a_choice_and_a_chart_move_everything_together(pages, tmp_path, name):
    assert_page_works(pages / f"{name}.html", tmp_path / "browser")


# What is broken on a page -> (what stands there, what instead).
BROKEN = {
    "the slider is deaf": ('slider.addEventListener("input"', 'slider.addEventListener("never"'),
    "one run moves alone": (
        "boxes.forEach((one) => one.show(",
        "[boxes[0]].forEach((one) => one.show(",
    ),
    "a choice is ignored": ('choose(Number(byId("which").value))', "choose(0)"),
    "the charts stay": ("present([truth, ...followers]).forEach", "[].forEach"),
    "a click is ignored": ("goTo = (step) => show", "const gone = (step) => show"),
    "a script fails": ("if (live.question) questionView();", "questionView(); missing();"),
    "a picture lies elsewhere": ("<main>", '<main><img alt="" src="http://example.invalid/a.png">'),
    "a long text is not scrolled": ("boxes.forEach((one) => one.showTruth());", ""),
    "the words stay": ('piece.style.setProperty("--e"', 'piece.style.setProperty("--x"'),
}


def without_policy(page, folder, old="", new=""):
    """A copy of a page that may run any script and ask for any picture, with a part of it exchanged."""
    text = page.read_text(encoding="utf-8")
    if old:
        assert text.count(old) == 1
        text = text.replace(old, new)
    copy = folder / "copy.html"
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    copy.write_text(re.sub(policy, "", text), encoding="utf-8")
    return copy


@pytest.mark.parametrize(("old", "new"), BROKEN.values(), ids=BROKEN)
def test_a_broken_page_is_noticed(pages, tmp_path, old, new):
    page = without_policy(pages / "two of any text.html", tmp_path, old, new)
    with pytest.raises(AssertionError):
        assert_page_works(page, tmp_path / "browser")


def test_nothing_but_what_was_broken_was_noticed(pages, tmp_path):
    assert_page_works(
        without_policy(pages / "two of any text.html", tmp_path), tmp_path / "browser"
    )


def test_the_policy_of_a_page_lets_nothing_else_run(pages, tmp_path):
    page = tmp_path / "more.html"
    text = (pages / "one.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</main>", "</main><script>1</script>", 1), encoding="utf-8")
    wrapper = tmp_path / "read.html"
    wrapper.write_text(READER % page.name, encoding="utf-8")
    opened = open_page(wrapper, tmp_path / "browser")
    assert len(opened.errors) == 1 and "Content Security Policy" in opened.errors[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reports_fit_a_phone_and_a_desk(pages, tmp_path, scheme):
    write_wrapper(pages, NAMES)
    assert_pages_fit(open_page(pages / WRAPPER, tmp_path / "browser", scheme), len(NAMES))


@needs_axe
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_no_serious_fault(pages, tmp_path, name):
    faults = serious_faults(pages / f"{name}.html", tmp_path)
    assert faults == [], json.dumps(faults, indent=1)
