"""A linear classifier explained: the result is known in advance."""

from dataclasses import replace

import pytest

from qa_research.explain.images.explain import ExplanationRequest, explain
from qa_research.explain.images.settings import CounterfactualSettings, LimeSettings, TrustSettings
from tests.explain.images.linear_classifier import WEIGHTS, Screen, cells, linear_classifier, white

LIME = LimeSettings(
    baseline="black",
    surrogate="linear",
    alpha=0.001,
    kernel_width=0.25,
    samples=100,
    more_samples=50,
    max_samples=200,
    cache=True,
)
TRUST = TrustSettings(top=4, seeds=3, confidence=0.95, resamples=60, random_orders=20)
NO_COUNTERFACTUAL = CounterfactualSettings(None, None, 10, 500)


@pytest.fixture
def explained(tmp_path):
    def make(
        weights=WEIGHTS,
        picture=None,
        screen=None,
        label=None,
        seed=1,
        labels=("dog", "cat"),
        **changes,
    ):
        lime = replace(LIME, **{k: v for k, v in changes.items() if k in LimeSettings.__slots__})
        trust = replace(TRUST, **{k: v for k, v in changes.items() if k in TrustSettings.__slots__})
        request = ExplanationRequest(
            label,
            seed,
            changes.get("segmenter", cells(len(weights))),
            lime,
            trust,
            changes.get("counterfactual", NO_COUNTERFACTUAL),
            "qa-research explain",
            {
                "lime": {"surrogate": lime.surrogate, "baseline": "black"},
                "trust": {"top": trust.top, "confidence": trust.confidence},
                "segmenter": {"_target_": "Grid", "rows": 4, "columns": 4},
            },
        )
        classifier = changes.get("classifier") or linear_classifier(weights, 0.4, labels=labels)
        return explain(
            picture or white(), classifier, request, tmp_path / "cache", screen or Screen()
        )

    return make
