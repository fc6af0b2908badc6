"""The report's section on the network: numbered boxes, and a legend in which each number is found."""

import json
import re
import shutil
import xml.etree.ElementTree as ET

import pytest
from transformers import BertConfig, ModernBertConfig, XLNetConfig

from qa_research.model.bert import skeleton
from qa_research.model.tracing import write_architecture
from qa_research.pages.document import Paragraph, Picture, Table, Value
from qa_research.pages.markup import plain_text
from qa_research.pages.pdf import picture_png
from qa_research.report.architecture import architecture_section
from qa_research.report.sources import Source
from tests.model_folders import network_of

SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 60}
BERT = BertConfig(num_hidden_layers=12, **SMALL)
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def section_of(directory, config=BERT):
    directory.mkdir(exist_ok=True)
    write_architecture(directory, skeleton(config))
    return architecture_section(Source(directory))


def block(section, kind):
    (found,) = [b for b in section.blocks if isinstance(b, kind)]
    return found


def cells(section):
    """The legend's rows as texts."""
    return [[plain_text(cell) for cell in row] for row in block(section, Table).rows]


def numbers_in(svg):
    """The numbers that are drawn in boxes."""
    bold = [t for t in ET.fromstring(svg).iter(f"{SVG}text") if t.get("font-weight") == "bold"]
    return [int(text.text) for text in bold]


def listed(section):
    """Every number of the legend."""
    return [int(n) for row in cells(section) for n in re.findall(r"\d+", row[0])]


def test_twelve_equal_modules_share_a_row(tmp_path):
    rows = cells(section_of(tmp_path))
    (attention,) = [row for row in rows if row[1].startswith("BertAttention")]
    assert attention[0] == "11, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 44"
    # Query, key, value and output: 16 x 16 weights and 16 biases each, and two times 16 of the norm.
    each, total = 4 * (16 * 16 + 16) + 32, sum(p.numel() for p in skeleton(BERT).parameters())
    assert attention[1:] == [
        "BertAttention attention of 12 layers",
        "window × token × hidden → window × token × hidden",
        f"{each:,}",
        f"{100 * 12 * each / total:.1f} %",
    ]
    assert rows[-1] == ["all", "the network", "", f"{total:,}", "100.0 %"]


CONFIGS = {
    "bert": BERT,
    "modernbert": ModernBertConfig(num_hidden_layers=4, pad_token_id=0, **SMALL),
    "xlnet": XLNetConfig(d_model=16, n_layer=3, n_head=2, d_inner=32, vocab_size=60),
}


@pytest.mark.parametrize("kind", [*CONFIGS, "albert", "deberta-v2", "distilbert"])
def test_each_parameter_is_in_one_row_and_each_box_too(kind, tmp_path):
    network = skeleton(CONFIGS[kind]) if kind in CONFIGS else network_of(kind, 60)
    write_architecture(tmp_path, network)
    source = Source(tmp_path)
    assert sum(entry.together for entry in source.legend) == sum(
        p.numel() for p in network.parameters()
    )
    numbers = [number for entry in source.legend for number in entry.numbers]
    assert sorted(numbers) == [node.number for node in source.architecture.nodes]
    assert sorted(listed(architecture_section(source))) == sorted(numbers)


def test_what_is_not_drawn_and_has_parameters_is_told(tmp_path):
    rows = cells(section_of(tmp_path, CONFIGS["xlnet"]))
    share = 16 / sum(p.numel() for p in skeleton(CONFIGS["xlnet"]).parameters())
    assert ["not drawn", "XLNetModel transformer", "", "16", f"{100 * share:.1f} %"] in rows


@needs_dot
@pytest.mark.parametrize("kind", CONFIGS)
def test_the_graph_has_every_number_once_as_text(kind, tmp_path):
    section = section_of(tmp_path, CONFIGS[kind])
    picture = block(section, Picture)
    assert sorted(numbers_in(picture.svg)) == sorted(listed(section)) == picture.data["number"]
    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(picture.svg).iter()}
    assert tags == {"svg", "style", "g", "rect", "path", "polygon", "text"}
    # No box covers another.
    boxes = [
        tuple(float(r.get(k)) for k in ("x", "y", "width", "height"))
        for r in ET.fromstring(picture.svg).iter(f"{SVG}rect")
        if r.get("class") != "layer"
    ]
    for i, (x, y, width, height) in enumerate(boxes):
        assert not any(abs(x - a) < width and abs(y - b) < height for a, b, *_ in boxes[:i])
    assert not [b for b in section.blocks if isinstance(b, Paragraph) and b.kind == "hint"]


@needs_dot
def test_an_arrow_for_each_edge(tmp_path):
    svg = block(section_of(tmp_path), Picture).svg
    edges = json.loads((tmp_path / "architecture.json").read_text())["graph"]["edges"]
    assert svg.count("<polygon") == svg.count('<path class="line"') == len(edges)


def test_a_layer_is_a_row_with_its_name(tmp_path):
    svg = block(section_of(tmp_path), Picture).svg
    assert "layer 0" in svg
    assert svg.count('class="layer"') == (12 if shutil.which("dot") else 1)


def test_without_dot_equal_layers_are_drawn_once_and_a_sentence_says_how_to_get_the_graph(
    tmp_path, no_dot
):
    section = section_of(tmp_path)
    svg = block(section, Picture).svg
    drawn, known = numbers_in(svg), listed(section)
    assert drawn == [*range(1, 14), *range(47, 51)] and set(drawn) < set(known)
    assert "layer 0 and 11 more like it" in svg
    (hint,) = [b for b in section.blocks if isinstance(b, Paragraph) and b.kind == "hint"]
    assert plain_text(hint.text) == (
        "Drawn as blocks, equal layers once, because Graphviz's program dot is not installed; install "
        "Graphviz (graphviz.org; apt, brew and conda have it) and write the report again for the whole graph."
    )


def test_a_dot_that_fails_is_said(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'no layout engine' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    section = section_of(tmp_path / "run")
    assert "because Graphviz's program dot fails (no layout engine);" in plain_text(
        section.blocks[2].text
    )


def test_the_same_file_gives_the_same_bytes(tmp_path):
    first, second = (block(section_of(tmp_path / n), Picture) for n in "ab")
    assert first == second


def test_values_are_taken_from_the_file_again(tmp_path):
    section = section_of(tmp_path)
    source = Source(tmp_path)
    texts = [piece for row in block(section, Table).rows for cell in row for piece in cell]
    texts += section.blocks[0].text
    values = [piece for piece in texts if isinstance(piece, Value)]
    assert len(values) > 50
    assert all(source.again(value.origin) == value.text for value in values)
    assert {value.origin["file"] for value in values} == {"architecture.json"}


def test_a_list_of_an_earlier_version_is_drawn_as_blocks(tmp_path):
    section_of(tmp_path)
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(json.loads(path.read_text())["modules"]))
    section = architecture_section(Source(tmp_path))
    assert numbers_in(block(section, Picture).svg) == [1, 2, 3, 4, 5, 6, 7, 8, 42]
    assert "version 0.2 or earlier" in plain_text(section.blocks[2].text)
    assert sorted(listed(section)) == list(range(1, 43))


def test_a_run_without_the_file_says_so(tmp_path):
    (lack,) = architecture_section(Source(tmp_path)).blocks
    assert lack.kind == "lack" and "no architecture.json" in plain_text(lack.text)


def test_hostile_names_stay_text_and_fit_their_boxes(tmp_path):
    section_of(tmp_path)
    path = tmp_path / "architecture.json"
    hostile = '</text><script>alert("&")</script>\u202e'
    path.write_text(path.read_text().replace("BertIntermediate", json.dumps(hostile)[1:-1]))
    picture = block(architecture_section(Source(tmp_path)), Picture)
    root = ET.fromstring(picture.svg)
    assert not root.findall(f".//{SVG}script") and "\u202e" not in picture.svg
    assert picture_png(picture, dpi=20).startswith(b"\x89PNG")


def test_dark_screens_have_rules_for_every_colour(tmp_path):
    svg = block(section_of(tmp_path), Picture).svg
    style = svg[svg.index("<style>") : svg.index("</style>")]
    used = set(re.findall(r'class="(\w+)"', svg))
    assert used == {"layer", "line", "tip", "module", "function", "tensor", "soft"}
    assert all(f".{name}{{" in style for name in used)
