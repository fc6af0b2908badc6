"""Pages in a real browser: Chromium, headless, without another program that drives it.

A page of the test's own holds the tested one in a frame, does there what a reader does, and writes what it
found into its own document, which `--dump-dom` prints. The tested page is the file as it is, with its own
policy of what may run.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
needs_axe = pytest.mark.skipif(
    "AXE" not in os.environ, reason="AXE names the file axe.min.js of axe-core"
)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--window-size=1280,2000",
    "--virtual-time-budget=20000",
)
# As Chromium's log of the network has the requests that no page asked for, such as its look for updates.
BROWSERS_OWN = "not an origin"

# A phone's and a desk's, in pixels.
WIDTHS = (390, 1280)
WRAPPER = "wrapper.html"
_MEASURE = """<!doctype html><body style="margin: 0">%s<pre id="found"></pre><script>
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
      return own && right > width + 1 && !chart.closest(".map-scroll, .scroll");
    }).map((chart) => chart.id || chart.getAttribute("aria-label") || chart.outerHTML.slice(0, 60));
    const [scroll, letters] = [page.documentElement.scrollWidth, page.body.innerText.length];
    return { page: frame.name, width, scroll, letters, stacked, cut };
  });
  document.getElementById("found").textContent = JSON.stringify(found);
}, 1500));
</script></body>"""

_ASK_AXE = """<pre id="found"></pre><script>
window.addEventListener("load", () => setTimeout(async () => {
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  const told = ({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html) });
  const faults = violations.map(told);
  document.getElementById("found").textContent = JSON.stringify({ ran: passes.length, faults });
}, 500));
</script>"""


@dataclass(frozen=True)
class Opened:
    """What a page did: `found` is what its script wrote into `<pre id="found">`.

    `errors`: what it complained about on the console; `requests`: addresses that are no files, which any page
    asked for.
    """

    found: Any
    errors: list[str]
    requests: list[str]


def open_page(page: Path, folder: Path, scheme: str = "light") -> Opened:
    """Open a file in a browser with nothing remembered; `folder`: for what the browser writes."""
    folder.mkdir(parents=True, exist_ok=True)
    network = folder / "network.json"
    command = [
        str(CHROMIUM),
        *OPTIONS,
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={network}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    text = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert text and text[1], done.stderr[-2000:]
    errors = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Opened(json.loads(unescape(text[1])), errors, _requests(network))


def _requests(network: Path) -> list[str]:
    log = json.loads(network.read_text(encoding="utf-8"))
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [
        event["params"]
        for event in log["events"]
        if event["type"] == start and "url" in event.get("params", {})
    ]
    return [one["url"] for one in asked if one.get("initiator") != BROWSERS_OWN]


def write_wrapper(folder: Path, names: Sequence[str]) -> None:
    """A page with every page of these names, of `folder`, in both widths, which measures them."""
    frames = [
        f'<iframe name="{name}" src="{name}.html" width="{width}" height="900" frameborder="0"></iframe>'
        for name in names
        for width in WIDTHS
    ]
    (folder / WRAPPER).write_text(_MEASURE % "".join(frames), encoding="utf-8")


def assert_pages_fit(opened: Opened, pages: int) -> None:
    """What a wrapper found of so many pages: none is wider than its frame, cut off or fails."""
    assert len(opened.found) == len(WIDTHS) * pages and opened.errors == []
    assert opened.requests == []
    for one in opened.found:
        assert one["letters"] > 200, one
        assert one["scroll"] <= one["width"], one
        assert one["stacked"] == [] and one["cut"] == [], one


def serious_faults(page: Path, folder: Path) -> list[Any]:
    """What axe-core finds of serious faults of accessibility in a page."""
    if page.name == WRAPPER:
        return []
    axe = Path(os.environ["AXE"]).read_text(encoding="utf-8")
    # The page's own policy would not let it run.
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    copy = folder / page.name
    copy.write_text(
        text.replace("</body>", f"<script>{axe}</script>{_ASK_AXE}</body>"), encoding="utf-8"
    )
    found = open_page(copy, folder / "browser").found
    assert found["ran"], page.stem
    return [fault for fault in found["faults"] if fault["impact"] in ("serious", "critical")]
