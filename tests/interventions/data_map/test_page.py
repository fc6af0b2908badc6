"""The page of a data map: what it shows of many examples, and that it obeys none of their texts."""

from qa_research.interventions.data_map.page import MOST_POINTS, map_page
from tests.html_pages import ParsedPage
from tests.interventions.data_map.maps import make_map


def commands(identity):
    return [f"qa-research fork RUN --at 20 --without {identity}"]


def test_of_many_examples_the_corners_and_the_marked_are_shown():
    found = make_map(count=MOST_POINTS + 300, marked=5)
    page = ParsedPage(map_page(found, commands))
    shown = {names["id"] for tag, names in page.tags if tag == "li" and "id" in names}
    assert len(shown) == MOST_POINTS
    assert f"Of {MOST_POINTS + 300} questions these are {MOST_POINTS}" in " ".join(
        page.text.split()
    )
    by_confidence = sorted(found.placed, key=lambda one: one.confidence)
    for one in (*by_confidence[:100], *by_confidence[-100:], *found.placed[:5]):
        assert f"--without {one.id}\n" in page.text
    assert map_page(found, commands) == map_page(found, commands)


def test_texts_of_examples_are_shown_and_not_obeyed():
    page = map_page(make_map(text="<script>alert(1)</script> \u202e"), commands)
    assert "<script>" not in page and "\u202e" not in page
    assert "<script>alert(1)</script>" in ParsedPage(page).text
