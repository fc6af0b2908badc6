import numpy as np
import pytest
from matplotlib.colors import to_hex

from qa_research.figures.panels import COLOURS
from qa_research.figures.weights import (
    head_weight_change,
    head_weight_maps,
    head_weights_at_start,
)
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import head_weights

ROWS = ["start", "end"]


def test_each_row_at_step_0_is_a_line_and_its_weight_nearest_zero_is_named():
    recording = head_weights(768)
    figure = head_weights_at_start(recording)
    for panel, row in zip(figure.axes, ROWS, strict=True):
        weights = recording["weight"].sel(step=0, row=row).values.astype(float)
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), weights)
        nearest = int(np.abs(weights).argmin())
        mark = panel.lines[-1]
        assert mark.get_marker() == "o"
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (nearest, weights[nearest])
        value = f"{weights[nearest]:.2g}".replace("-", "−")
        assert panel.texts[0].get_text() == f"nearest zero: unit {nearest}, {value}"


def test_change_shows_both_rows_in_three_measures_and_names_the_largest_units():
    recording = head_weights(128)
    figure = head_weight_change(recording)
    for panel, measure in zip(figure.axes, ["percent", "absolute", "standardised"], strict=True):
        assert panel.get_title(loc="left").startswith(f"{measure} change")
        named = set()
        for line, row, colour in zip(panel.lines, ROWS, COLOURS, strict=False):
            change = recording["change"].sel(step=500, measure=measure, row=row).values
            np.testing.assert_array_equal(line.get_ydata(), change.astype(float))
            assert to_hex(line.get_color()) == colour
            named |= {(int(unit), colour) for unit in np.argsort(-np.abs(change))[:3]}
        shown = {(int(text.get_text().split(":")[0]), text.get_color()) for text in panel.texts}
        assert shown == named


def test_a_name_gives_the_change_in_the_panels_own_unit():
    recording = head_weights(128)
    recording["change"].loc[{"measure": "percent", "row": "end", "unit": 28}] = 5_864.2
    recording["ranked_unit"].loc[{"measure": "percent", "row": "end"}] = 28
    shown = [text for text, _ in texts(head_weight_change(recording))]
    assert "28: +5,864 %" in shown


def test_the_percent_panel_says_how_far_its_change_goes_with_the_inverse_of_the_weight():
    recording = head_weights(128)
    recording["correlation"].loc[{"step": 500}] = [0.987, -0.012]
    recording["rank_correlation"].loc[{"step": 500}] = [0.5, 0.25]
    percent, absolute, _ = head_weight_change(recording).axes
    phrase = "r of |change| and 1 / |w₀|, n = 128: start 0.99 (ranks 0.50), end −0.01 (ranks 0.25)"
    assert percent.get_title(loc="left") == f"percent change; {phrase}"
    assert "1 / |w₀|" not in absolute.get_title(loc="left")


def test_at_step_0_nothing_is_named_and_no_correlation_claimed():
    figure = head_weight_change(head_weights(steps=[0]))
    assert all(not panel.texts for panel in figure.axes)
    assert "is not defined" in figure.axes[0].get_title(loc="left")
    assert not collisions(figure)


@pytest.mark.parametrize(("n_units", "seed"), [(4, 0), (128, 1), (768, 2)])
def test_no_text_touches_another(n_units, seed):
    recording = head_weights(n_units, steps=range(0, 1_500_001, 100_000), seed=seed)
    recording["change"] *= 1_000 if seed else 1
    assert not collisions(head_weights_at_start(recording))
    assert not collisions(head_weight_change(recording))


def test_maps_show_every_step_of_both_rows_and_the_mean_size_of_the_change():
    recording = head_weights(64)
    figure = head_weight_maps(recording)
    assert not collisions(figure)
    absolute = recording["change"].sel(measure="absolute")
    # Three columns of maps, a row each, and below them the means.
    maps, trend = figure.axes[1], figure.axes[7]
    shown = maps.images[0].get_array()
    np.testing.assert_allclose(shown, absolute.sel(row="start").values, rtol=1e-6)
    for line, row in zip(trend.lines, ROWS, strict=False):
        means = np.abs(absolute.sel(row=row).values.astype(float)).mean(axis=1)
        np.testing.assert_allclose(line.get_ydata(), means, rtol=1e-6)


def test_a_scale_ends_at_the_usual_extreme_whatever_one_weight_did():
    recording = head_weights(128)
    before = head_weight_maps(recording).axes[0].images[0].get_clim()
    recording["change"].loc[{"measure": "percent", "row": "end", "unit": 28}] = 1e9
    after = head_weight_maps(recording).axes[0].images[0].get_clim()
    assert after[1] < 10 * before[1]


def test_weights_that_began_at_zero_or_diverged_are_not_named():
    recording = head_weights(16)
    recording["change"].loc[{"measure": "percent", "row": "end"}] = np.inf
    recording["change"].loc[{"measure": "absolute", "row": "start"}] = np.nan
    figure = head_weight_change(recording)
    assert not collisions(figure)
    assert {text.get_color() for text in figure.axes[0].texts} == {COLOURS[0]}
    assert {text.get_color() for text in figure.axes[1].texts} == {COLOURS[1]}


def test_what_is_not_recorded_is_refused():
    with pytest.raises(ValueError, match="step 0 is not recorded; recorded: 50, 100"):
        head_weights_at_start(head_weights(steps=[50, 100]))
    with pytest.raises(ValueError, match="'change' holds no step yet"):
        head_weight_change(head_weights().isel(step=slice(0)))
    with pytest.raises(ValueError, match="a map over steps needs two of them"):
        head_weight_maps(head_weights(steps=[0]))
