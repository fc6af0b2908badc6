import numpy as np
import pytest

from qa_research.explain.images.predictions import BLOCK, MaskedPicture
from qa_research.explain.images.segments import segmented
from qa_research.explain.surrogate import draw_masks
from tests.explain.images.linear_classifier import SIZE, cells, linear_classifier, white

WEIGHTS = [0.1, -0.05, 0.2, 0.02]
BLACK = np.zeros((SIZE, SIZE, 3))


@pytest.fixture
def masked(tmp_path):
    def make(weights=WEIGHTS, cache=True, batch_size=8, off=BLACK):
        pixels = white().pixels
        classifier = linear_classifier(weights, batch_size=batch_size)
        segments = segmented(cells(4), pixels)
        return MaskedPicture(classifier, pixels, off, segments, tmp_path if cache else None)

    return make


MASKS = draw_masks(2 * BLOCK + 37, 4, np.random.default_rng(0))


@pytest.mark.parametrize("batch_size", [1, 8, 500])
def test_predictions_are_the_classifiers_in_the_masks_order(masked, batch_size):
    found = masked(batch_size=batch_size).predictions(MASKS)
    assert found.shape == (len(MASKS), 2)
    assert found[:, 0] == pytest.approx(0.5 + MASKS @ WEIGHTS, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_the_same_masks_are_predicted_once(masked):
    first, again = masked(), masked()
    found = first.predictions(MASKS)
    assert (first.predicted, first.found) == (len(MASKS), 0)
    assert (again.predictions(MASKS) == found).all()
    assert (again.predicted, again.found) == (0, len(MASKS))


def test_other_weights_baselines_or_masks_are_predicted_again(masked):
    masked().predictions(MASKS)
    others = [masked(weights=[0.1, -0.05, 0.2, 0.03]), masked(off=BLACK + 1), masked(batch_size=4)]
    for other in others:
        other.predictions(MASKS)
        assert other.found == 0
    more = masked()
    more.predictions(~MASKS)
    assert more.found == 0


def test_a_truncated_file_is_predicted_again(masked, tmp_path):
    found = masked().predictions(MASKS)
    for path in (tmp_path / "predictions").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    again = masked()
    assert (again.predictions(MASKS) == found).all()
    assert again.found == 0


def test_what_was_interrupted_continues_where_it_stopped(masked):
    first = masked()

    class Stop(BaseException):
        pass

    def stop(n):
        if first.predicted >= BLOCK:
            raise Stop

    with pytest.raises(Stop):
        first.predictions(MASKS, stop)
    again = masked()
    again.predictions(MASKS)
    assert again.found == BLOCK


def test_without_a_cache_nothing_is_written(masked, tmp_path):
    masked(cache=False).predictions(MASKS)
    assert not list(tmp_path.iterdir())


def test_the_oldest_files_are_deleted_when_the_cache_is_full(masked, tmp_path, monkeypatch):
    monkeypatch.setattr("qa_research.explain.images.predictions.MOST_CACHED_BYTES", 4000)
    one = masked()
    for seed in range(6):
        one.predictions(draw_masks(100, 4, np.random.default_rng(seed)))
    kept = list((tmp_path / "predictions").glob("*.npy"))
    assert 0 < sum(path.stat().st_size for path in kept) <= 4000
    one.predictions(draw_masks(100, 4, np.random.default_rng(5)))
    assert one.found == 100


def test_every_prediction_is_reported(masked):
    counts = []
    masked().predictions(MASKS, counts.append)
    assert sum(counts) == len(MASKS)
