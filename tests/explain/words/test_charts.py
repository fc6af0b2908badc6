from xml.etree import ElementTree

from matplotlib.figure import Figure

from qa_research.explain.words.page import curves_chart, inline_svg, probability_chart
from tests.explain.words.attributions import faithfulness_of, over_steps


def drawn():
    figure = Figure(figsize=(4, 3))
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="#0b6e99", marker="o")
    panel.set_xlabel("a < b & $c$", parse_math=False)
    return figure


def test_a_chart_is_one_svg_without_ids_styles_links_and_clipping():
    svg = inline_svg(drawn(), "A <line>", {})
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg" and root.get("aria-label") == "A <line>"
    assert root.get("viewBox") == "0 0 288 216"
    used = {name for element in root.iter() for name in element.attrib}
    assert not used & {"id", "style", "href", "class", "clip-path"}
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "text"}


def test_text_stays_text_in_the_pages_own_font():
    root = ElementTree.fromstring(inline_svg(drawn(), "", {}))
    texts = {element.text: element for element in root.iter("text")}
    assert "a < b & $c$" in texts and "0.4" in texts
    assert "font-family" not in texts["0.4"].attrib and texts["0.4"].get("font-size")


def test_markers_are_where_the_data_is():
    """What matplotlib defines once and uses often is drawn at each place."""
    root = ElementTree.fromstring(inline_svg(drawn(), "", {}))
    blue = [element for element in root.iter("path") if element.get("fill") == "#0b6e99"]
    (line,) = [
        element
        for element in root.iter("path")
        if element.get("stroke") == "#0b6e99" and element.get("fill") == "none"
    ]
    _, x1, y1, _, x2, y2 = line.get("d").split()
    assert [element.get("transform") for element in blue] == [
        f"translate({x1} {y1})",
        f"translate({x2} {y2})",
    ]


def test_colours_become_those_of_the_page():
    svg = inline_svg(drawn(), "", {"#0b6e99": "var(--accent)", "#000000": "currentColor"})
    assert "var(--accent)" in svg and "currentColor" in svg
    assert "#0b6e99" not in svg and "#000000" not in svg


def test_equal_charts_are_equal_text():
    assert inline_svg(drawn(), "", {}) == inline_svg(drawn(), "", {})


def test_the_charts_of_a_page_have_no_colour_of_their_own():
    charts = [
        curves_chart(faithfulness_of(9), kind) for kind in ("comprehensiveness", "sufficiency")
    ]
    for chart in [*charts, probability_chart(over_steps())]:
        assert "#" not in chart
    assert "var(--lime)" in charts[0] and "first words switched off" in charts[0]
    assert "var(--true)" in probability_chart(over_steps())
