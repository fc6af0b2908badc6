import numpy as np
import pytest

from qa_research.figures.attention import answer_to_match
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import heads

TARGETS = ["match_context", "match_question"]


def of_questions(recording, target, questions):
    weight = recording["group_weight"].sel(source="answer", target=target)
    return weight.isel(question=questions).mean("question")


def test_maps_are_means_over_the_questions_that_have_a_matching_word():
    recording = heads(n_questions=3)  # the last has none
    figure = answer_to_match(recording)
    panels = [panel for panel in figure.axes if panel.images]
    for line, target in zip((panels[:3], panels[3:]), TARGETS, strict=True):
        mean = of_questions(recording, target, [0, 1])
        first, last, difference = (panel.images[0].get_array() for panel in line)
        np.testing.assert_allclose(first, mean[0])
        np.testing.assert_allclose(last, mean[-1])
        np.testing.assert_allclose(difference, mean[-1] - mean[0])
    assert any("mean over 2 of 3 watched questions" in text for text, _ in texts(figure))


def test_maps_share_their_scales_and_the_difference_is_white_at_zero():
    panels = [panel for panel in answer_to_match(heads()).axes if panel.images]
    limits = [panel.images[0].get_clim() for panel in panels]
    assert len({limits[i] for i in (0, 1, 3, 4)}) == 1 and limits[0][0] == 0
    assert limits[2] == limits[5] and limits[2][0] == -limits[2][1]


def test_lines_name_the_heads_that_grew_most_by_the_numbers_of_their_layers():
    recording = heads(n_questions=1, layers=(0, 3, 11), n_heads=8)
    answer = {"source": "answer", "target": "match_context"}
    growth = np.linspace(0, 1, 21)
    recording["group_weight"].loc[answer | {"layer": 3}] = 0
    recording["group_weight"].loc[answer | {"layer": 3}][:, 0, 7] = growth
    recording["group_weight"].loc[answer | {"layer": 11}][:, 0, 2] = growth * 0.9
    context = answer_to_match(recording).axes[-2]
    assert [line.get_label() for line in context.lines[:2]] == [
        *("layer 3, head 7", "layer 11, head 2")
    ]
    np.testing.assert_allclose(context.lines[0].get_ydata(), growth)
    np.testing.assert_array_equal(context.lines[0].get_xdata(), recording["step"])
    assert len(context.lines) <= 5


def test_a_head_has_the_same_colour_and_style_in_every_panel_and_its_name_at_its_line():
    recording = heads(n_questions=1, layers=(0, 3), n_heads=3)
    growth = np.linspace(0, 1, 21)
    for target, order in (("match_context", (1, 2, 0)), ("match_question", (0, 1, 2))):
        answer = {"source": "answer", "target": target}
        recording["group_weight"].loc[answer] = 0
        for rank, head in enumerate(order):
            own = answer | {"layer": 3, "head": head}
            recording["group_weight"].loc[own] = (growth * (1 - 0.2 * rank))[:, None]
    figure = answer_to_match(recording)
    panels = figure.axes[-2:]
    looks = [
        {line.get_label(): (line.get_color(), line.get_linestyle()) for line in panel.lines}
        for panel in panels
    ]
    assert looks[0] == looks[1] and len(set(looks[0].values())) == 3
    for panel in panels:
        assert panel.get_legend() is None
        colours = {text.get_text(): text.get_color() for text in panel.texts}
        assert colours == {name: colour for name, (colour, _) in looks[0].items()}
    assert not collisions(figure)


def test_heads_that_lost_attention_are_not_said_to_have_grown():
    recording = heads(n_questions=1)
    falling = np.linspace(1, 0, 21)[:, None, None, None, None, None]
    recording["group_weight"][:] = falling
    context, question = answer_to_match(recording).axes[-2:]
    assert not context.lines and not question.lines
    assert context.get_title(loc="left") == "word in the context: no head grew"


def test_one_step_has_no_difference():
    figure = answer_to_match(heads(n_questions=1, steps=[7]))
    panels = [panel for panel in figure.axes if panel.images]
    assert [panel.get_title() for panel in panels] == [
        "word in the context, step 7",
        "word in the question, step 7",
    ]
    assert "attend most" in figure.axes[-1].get_title(loc="left")


@pytest.mark.parametrize(
    ("n_layers", "n_heads", "steps"),
    [
        (1, 1, [0]),
        (12, 12, [0]),
        (2, 2, range(0, 1_500_001, 100_000)),
        (12, 12, range(0, 1_500_001, 100_000)),
    ],
)
def test_no_text_touches_another(n_layers, n_heads, steps):
    recording = heads(2, range(n_layers), n_heads, steps)
    assert not collisions(answer_to_match(recording))


def test_layers_keep_their_numbers():
    panel = answer_to_match(heads(layers=(0, 11))).axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["0", "11"]


def test_a_diverged_training_still_has_its_figure():
    recording = heads()
    recording["group_weight"][5:] = np.nan
    assert not collisions(answer_to_match(recording))


def test_without_a_matching_word_or_a_step_there_is_no_figure():
    recording = heads(n_questions=2)
    recording["group_weight"][:] = np.nan
    with pytest.raises(ValueError, match="no watched question has an answer and a word that match"):
        answer_to_match(recording)
    with pytest.raises(ValueError, match="'group_weight' holds no step yet"):
        answer_to_match(heads().isel(step=slice(0)))
