"""Small curves on pages."""

import numpy as np

from qa_research.pages.curve import curve_path


def test_a_small_curve_is_to_scale_and_interrupted_where_there_is_no_number():
    steps = np.array([0, 10, 20, 100])
    assert curve_path(steps, np.array([0.0, 1.0, np.nan, 0.5])) == "M2.0 26.0L13.6 2.0M118.0 14.0"
