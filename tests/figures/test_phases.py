import re
from importlib.resources import files

import pytest

from qa_research.figures.phases import FILLS, phases_over_time
from tests.figures.drawn import collisions, texts


def test_bars_stack_the_shares_of_each_stretch():
    shares = {"forward": [0.25, 0.5], "backward": [0.75, 0.5]}
    figure = phases_over_time([0, 10, 30], shares, {"forward": "blue", "backward": "mint"})
    (panel,) = figure.axes
    boxes = [(bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()) for bar in panel.patches]
    assert boxes == [(0, 0, 10, 25), (10, 0, 20, 50), (0, 25, 10, 75), (10, 50, 20, 50)]
    # Names stand as the bars do: the last at the top.
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["backward", "forward"]
    assert not collisions(figure)
    assert {"0", "100"} <= {text for text, _ in texts(figure)}


def test_the_flame_graph_has_the_same_colours():
    sheet = (files("qa_research.stacks") / "flame.css").read_text(encoding="utf-8")
    light = sheet.partition("@media")[0]
    assert dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light)).items() >= FILLS.items()


@pytest.mark.parametrize("name", FILLS)
def test_black_on_a_colour_is_read_easily(name):
    """WCAG's contrast of the labels, #14171a, which are 12 px high: at least 4.5."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    assert (luminance(FILLS[name]) + 0.05) / (luminance("#14171a") + 0.05) > 4.5
