import numpy as np
import pytest
import xarray as xr

from qa_research.figures.panels import at, listing, recorded, spread


def test_an_axis_without_a_coordinate_is_numbered_from_0():
    array = xr.DataArray(
        np.arange(6).reshape(2, 3), dims=("layer", "head"), coords={"layer": [0, 11]}
    )
    assert int(at(array, layer=11, head=1)) == 4
    with pytest.raises(ValueError, match="head -1 is not recorded; recorded: 0 to 2"):
        at(array, head=-1)
    with pytest.raises(ValueError, match="layer 1 is not recorded; recorded: 0, 11"):
        at(array, layer=1)


@pytest.mark.parametrize(
    ("values", "phrase"),
    [
        ([], "nothing"),
        ([0], "0"),
        ([0, 1], "0, 1"),
        (list(range(128)), "0 to 127"),
        ([0, 5, 11], "0, 5, 11"),
        (list(range(0, 1_000, 50)), "0, 50, 100, 150, 200, 250, 300, 350, 400, 450, ..., 950"),
        (["context", "mlp", "embeddings"], "context, mlp, embeddings"),
    ],
)
def test_what_is_recorded_is_listed_briefly(values, phrase):
    assert listing(values) == phrase


@pytest.mark.parametrize("n", range(1, 30))
def test_spread_steps_are_recorded_ones_with_the_first_and_the_last(n):
    steps = np.arange(n) ** 2
    for most in (2, 3, 6):
        chosen = spread(steps, most)
        assert chosen[0] == 0 and chosen[-1] == steps[-1]
        assert len(chosen) == min(n, most) == len(set(chosen)) and set(chosen) <= set(steps)


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="no array 'loss' is recorded; recorded: nothing"):
        recorded(xr.Dataset(), "loss")


def test_captures_around_a_turn_are_among_those_that_are_drawn():
    steps = np.array([0, 10, 20, 50, 100])
    assert spread(steps, 3) == [0, 20, 100]
    assert spread(steps, 3, turn=50) == [0, 50, 100]
    assert spread(steps, 4, turn=50) == [0, 20, 50, 100]
    assert spread(steps, 4, turn=45) == [0, 20, 50, 100]
    assert spread(steps, 9, turn=50) == steps.tolist()
    assert spread(steps, 3, turn=0) == spread(steps, 3, turn=101) == [0, 20, 100]
