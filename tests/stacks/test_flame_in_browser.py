"""The flame graph in a browser: search, zoom, phases, ranks and keys do what they say."""

import json

import pytest

from qa_research.stacks.flame import flame_page
from qa_research.stacks.searching import search_stacks
from tests.browser import (
    needs_axe,
    needs_chromium,
    open_page,
    serious_faults,
)
from tests.stacks.recordings import DROPOUT, chosen, make_recording

pytestmark = needs_chromium
CHOSEN = chosen(*(make_recording(rank=rank, seed=rank + 1) for rank in (0, 1)))
# Does with the page what a reader does, and notes after each act what the page shows.
READER = """<!doctype html><iframe src="flame.html" width="1200" height="1600"></iframe>
<pre id="found"></pre><script>
function read() {
  const { contentDocument: page, contentWindow: { namesOf } } = document.querySelector("iframe");
  const byId = (id) => page.getElementById(id);
  const all = (selector) => [...page.querySelectorAll(selector)];
  const boxes = () => [...byId("flame").children];
  const look = () => ({
    boxes: boxes().map((box) => ({
      name: namesOf(box.shown.chain), text: box.textContent, width: parseFloat(box.style.width),
      level: Number(box.getAttribute("aria-level")), hit: box.classList.contains("hit"),
      colour: box.classList[1],
    })),
    found: byId("matches").hidden ? null : byId("matches").textContent,
    path: byId("path").textContent,
    told: byId("readout").textContent,
    focused: page.activeElement.getAttribute("aria-label"),
    pressed: all('#phases [aria-pressed="true"]').map((one) => one.textContent),
    table: all("table.lines").filter((one) => !one.hidden).map((one) => one.dataset.rank),
  });
  const box = (text) => boxes().find((one) => one.textContent.includes(text));
  const type = (text) => {
    byId("search").value = text;
    byId("search").dispatchEvent(new Event("input", { bubbles: true }));
  };
  const press = (key) =>
    page.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const phase = (name) =>
    all("#phases button").find((one) => one.textContent.includes(name)).click();
  const seen = { opened: look() };
  box("backward").dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  seen.pointed = look();
  type("DROPout");
  seen.searched = look();
  type("");
  box("training_step").click();
  seen.zoomed = look();
  press("ArrowDown");
  seen.below = look();
  press("ArrowRight");
  seen.beside = look();
  press("Enter");
  seen.entered = look();
  for (let i = 0; i < 5; i += 1) press("Escape");
  seen.escaped = look();
  phase("forward");
  seen.forward = look();
  type("dropout");
  seen.searchedForward = look();
  type("");
  phase("backward");
  seen.both = look();
  phase("All");
  byId("every").click();
  seen.every = look();
  byId("every").click();
  byId("rank").value = "1";
  byId("rank").dispatchEvent(new Event("change", { bubbles: true }));
  type("dropout");
  seen.rank = look();
  return seen;
}
window.addEventListener("load", () => setTimeout(() => {
  let found;
  try { found = read(); } catch (error) { found = { failed: String(error.stack) }; }
  document.getElementById("found").textContent = JSON.stringify(found);
}, 500));
</script>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the page showed after each act."""
    folder = tmp_path_factory.mktemp("flame")
    (folder / "flame.html").write_text(flame_page(CHOSEN), encoding="utf-8")
    (folder / "reader.html").write_text(READER, encoding="utf-8")
    opened = open_page(folder / "reader.html", folder / "browser")
    assert opened.errors == [] and opened.requests == []
    assert "failed" not in opened.found, opened.found
    return opened.found


def told(share) -> str:
    """A share as the page says it."""
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def names(look):
    """The functions of the boxes."""
    return [box["name"] for box in look["boxes"]]


def test_boxes_are_as_wide_as_their_shares_and_bear_their_phase(seen):
    boxes = seen["opened"]["boxes"]
    total = len(CHOSEN.samples)
    backward = next(box for box in boxes if "_engine_run_backward" in box["name"])
    share = sum(sample.phase == "backward" for sample in CHOSEN.samples) / total
    assert backward["width"] == pytest.approx(100 * share, abs=0.01)
    assert backward["colour"] == "mint" and backward["text"].startswith("backward _engine")
    for level in {box["level"] for box in boxes}:
        assert sum(box["width"] for box in boxes if box["level"] == level) <= 100.01
    assert names(seen["opened"])[:2] == ["<module>", "fit → advance"]


def test_a_frame_that_is_pointed_at_shows_its_line_and_its_share(seen):
    shown = seen["pointed"]["told"]
    share = search_stacks(CHOSEN.samples, "engine.run_backward").share
    assert told(share) in shown and "backward 100 %" in shown
    assert "torch/autograd/graph.py:1072" in shown and "return engine.run_backward(" in shown


def test_a_search_says_the_share_that_has_the_text_as_the_verb_does(seen):
    share = search_stacks(CHOSEN.samples, "dropout").share
    assert seen["searched"]["found"].startswith(f"{told(share)} of the samples shown")
    assert [box["name"] for box in seen["searched"]["boxes"] if box["hit"]] == ["dropout"]
    assert seen["zoomed"]["found"] is None


def test_a_click_widens_a_frame_and_keys_go_through_the_graph(seen):
    zoomed = seen["zoomed"]
    assert zoomed["boxes"][0]["width"] == 100 and names(zoomed)[0] == "training_step"
    assert zoomed["focused"].startswith("forward training_step") and "Whole graph" in zoomed["path"]
    assert seen["below"]["focused"].startswith("forward")
    assert seen["beside"]["focused"].startswith("forward")
    assert seen["beside"]["focused"] != seen["below"]["focused"]
    assert seen["entered"]["boxes"][0]["width"] == 100
    assert len(seen["entered"]["boxes"]) < len(zoomed["boxes"])
    assert names(seen["escaped"]) == names(seen["opened"])


def test_chosen_phases_are_all_that_is_shown(seen):
    assert {box["colour"] for box in seen["forward"]["boxes"]} == {"blue"}
    assert [text.split()[0] for text in seen["forward"]["pressed"]] == ["forward"]
    forward = [sample for sample in CHOSEN.samples if sample.phase == "forward"]
    share = search_stacks(forward, "dropout").share
    assert seen["searchedForward"]["found"].startswith(told(share))
    assert {box["colour"] for box in seen["both"]["boxes"]} == {"blue", "mint", "grey"}


def test_every_frame_is_a_box_when_it_is_asked_for(seen):
    assert names(seen["every"])[:4] == ["<module>", "fit", "_call_and_handle_interrupt", "advance"]


def test_a_rank_has_its_own_shares_and_table(seen):
    samples = CHOSEN.recordings[1].samples
    share = search_stacks(samples, DROPOUT.function).share
    assert seen["rank"]["found"].startswith(told(share))
    assert seen["rank"]["table"] == ["1"] and seen["opened"]["table"] == ["all"]


@needs_axe
def test_axe_finds_no_serious_fault(tmp_path):
    page = tmp_path / "flame.html"
    page.write_text(flame_page(CHOSEN, "Bound by the backward pass."), encoding="utf-8")
    (tmp_path / "axe").mkdir()
    faults = serious_faults(page, tmp_path / "axe")
    assert not faults, json.dumps(faults, indent=1)
