"""Small explanations as a folder holds them, explanation.json and arrays.npz, made without a classifier.

The document is written out by hand: it shows the format that earlier versions wrote.
"""

import json
from dataclasses import replace
from itertools import combinations, islice

import numpy as np

from qa_research.explain.images.result import Explanation
from qa_research.explain.images.trust import Verdict
from qa_research.explain.ranking import StableTop, ranks_sentence

LABELS = ("espresso", "cup", "coffee mug", "teapot")


def grid_segments(n, side):
    """`n` segments on a square picture: as many columns as rows, the last row may be wider."""
    across = int(np.ceil(np.sqrt(n)))
    place = np.arange(side) * across // side
    return np.minimum(place[:, None] * across + place[None, :], n - 1).astype(np.int32)


def make_explanation(
    n=4,
    side=16,
    top=2,
    seeds=3,
    exact=False,
    curves=True,
    counterfactual=True,
    again=True,
    flipped=True,
    flip=False,
    constant=False,
    word="stable",
    doubts=(),
    name="coffee",
    label=LABELS[0],
    config=None,
):
    """(document, arrays); coefficients fall from +0.4 to -0.2 along a shuffled order."""
    random = np.random.default_rng(0)
    order = [int(i) for i in random.permutation(n)]
    coefficients = np.zeros(n)
    coefficients[order] = 0.0 if constant else np.linspace(0.4, -0.2, n)
    seeds = 1 if exact else seeds
    n_masks = 2**n if exact else 20 * seeds
    masks = random.random((n_masks, n)) < 0.5
    if exact:
        masks = (np.arange(n_masks)[:, None] >> np.arange(n)) & 1 == 1
    predicted = masks @ coefficients + 0.3
    outputs = predicted + (0 if constant else random.normal(0, 0.05, n_masks))
    by_seed = coefficients + random.normal(0, 0.0 if exact else 0.02, (seeds, n))
    half = 0.0 if exact or constant else 0.03
    segments = grid_segments(n, side)
    rows = []
    for rank, i in enumerate(order, start=1):
        inside = np.argwhere(segments == i)
        rows.append(
            {
                "number": i,
                "rank": rank,
                "coefficient": coefficients[i],
                "low": coefficients[i] - half,
                "high": coefficients[i] + half,
                "area": len(inside) / segments.size,
                "centre": [int(v) for v in inside.mean(axis=0)],
                "tied": rank in (top, top + 1) and word != "stable",
            }
        )
    tops = [[int(i) for i in np.argsort(-row, kind="stable")[:top]] for row in by_seed]
    labels = (label, *LABELS[1:])
    stable = None
    if seeds > 1:
        stable = {
            "jaccard": 0.84,
            "least_jaccard": 0.6,
            "chance_jaccard": 0.14,
            "rank_correlation": None if constant else 0.7,
            "sign_agreement": 1.0,
            "tops": tops,
        }
    sampling = {"exact": exact, "seeds": seeds, "samples": n_masks // seeds, "masks": n_masks}
    separation = {
        "separate": word == "stable",
        "z": None if exact else 3.1,
        "needed": 2.24,
        "tied": [order[top - 1]],
    }
    shares = np.concatenate([[0.0], np.cumsum([row["area"] for row in rows])])
    document = {
        "format": "explanation-1",
        "picture": {
            "name": name,
            "source": f"{name}.png",
            "width": 600,
            "height": 400,
            "sha256": "0" * 64,
            "notes": ["It has 16 bits: read as 8."],
            "seen": [side, side],
        },
        "classifier": {
            "name": "tiny",
            "weights": "tiny.pth",
            "fingerprint": "1" * 64,
            "classes": 4,
            "size": side,
            "fit": "squash",
            "precision": "float32",
            "device": "cpu",
        },
        "explained": {**_class(labels, 0, 0.9), "probability_all_off": 0.25},
        "classes": [_class(labels, i, p) for i, p in enumerate((0.9, 0.06, 0.03, 0.01))],
        "classes_all_off": [_class(labels, i, 0.25) for i in range(3)],
        "segments": rows,
        "surrogate": {"kind": "ridge", "intercept": 0.3, "r2": None if constant else 0.87},
        "sampling": sampling,
        "separation": separation,
        "stability": stable,
        "curves": _curves(shares) if curves else None,
        "verdict": {"word": word, "doubts": list(doubts)},
        "counterfactual": _counterfactual(
            order[:top], order, labels, flipped, flip, again, sampling, separation, stable
        )
        if counterfactual
        else None,
        "command": "qa-research explain 'image=<a \"b\">.png'",
        "config": config
        or {
            "image": f"{name}.png",
            "label": None,
            "seed": 1,
            "segmenter": {
                "_target_": "qa_research.explain.images.segments.Grid",
                "rows": 2,
                "columns": 2,
            },
            "lime": {"surrogate": "ridge", "baseline": "grey"},
            "trust": {"top": top, "confidence": 0.95},
        },
        "versions": {"qa-research": "0.1.0"},
    }
    arrays = {
        "pixels": random.integers(0, 255, (side, side, 3), dtype=np.uint8),
        "off_pixels": np.full((side, side, 3), 128, dtype=np.uint8),
        "segments": segments,
        "masks": masks,
        "outputs": outputs,
        "weights": np.ones(n_masks),
        "predicted": predicted,
        "by_seed": by_seed,
    }
    return json.loads(json.dumps(document, default=float)), arrays


def loaded(folder, **choices):
    """One that was written and read back."""
    return Explanation.load(write(folder, *make_explanation(**choices)))


def with_ties(folder, top=4, word="stable", **choices):
    """Nine segments as this version judges them: the top 6 is stable, ranks 1-2, 3-6 and 7-9 are tied."""
    found = loaded(folder, n=9, side=18, top=top, word=word, curves=False, **choices)
    stable = StableTop(6, (2, 6), found.order[6:], 3, 0.0004, 9)
    ranks = ranks_sentence(stable, "seeds", "segments")
    return replace(found, verdict=Verdict(word, (), ranks), stable_top=stable)


def write(folder, document, arrays):
    """As `explain` leaves them; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    (folder / "explanation.json").write_text(text, encoding="utf-8")
    np.savez(folder / "arrays.npz", **arrays)
    return folder


def _class(labels, index, probability):
    return {
        "label": labels[index],
        "index": index,
        "probability": probability,
        "place": index + 1,
    }


def _curves(shares):
    grid = np.linspace(0, 1, 51)
    falling, rising = 0.9 * (1 - shares) ** 3, 0.9 * (1 - (1 - shares) ** 3)
    found = {}
    for name, probability, mean in (
        ("deletion", falling, 0.9 * (1 - grid)),
        ("insertion", rising, 0.9 * grid),
    ):
        found[name] = {
            "share": shares.tolist(),
            "probability": probability.tolist(),
            "area": float(np.trapezoid(probability, shares)),
            "beaten": 1.0,
            "random_areas": [0.45] * 5,
            "grid": grid.tolist(),
            "random_mean": mean.tolist(),
            "random_low": (0.8 * mean).tolist(),
            "random_high": (1.05 * mean).tolist(),
        }
    return found


def _counterfactual(chosen, order, labels, flipped, flip, again, sampling, separation, stable):
    second = 1 if flipped else 0
    after = {0: 0.2, 1: 0.55} if flipped else {0: 0.5, 1: 0.2}
    sets = [list(one) for one in islice(combinations(order, len(chosen)), 5)]
    explained_again = None
    if again:
        left = [i for i in order if i not in chosen]
        explained_again = {
            "sampling": sampling,
            "separation": {**separation, "tied": left[:1]},
            "stability": stable,
            "r2": 0.5,
            "segments": [
                {
                    "number": i,
                    "rank": rank,
                    "coefficient": 0.1 / rank,
                    "low": 0.05 / rank,
                    "high": 0.12 / rank,
                }
                for rank, i in enumerate(left, start=1)
            ],
        }
    return {
        "segments": chosen,
        "area": 0.5,
        "classes_before": [_class(labels, i, p) for i, p in enumerate((0.9, 0.06, 0.03))],
        "classes_after": sorted(
            [
                {**_class(labels, i, p), "place": place}
                for i, p, place in (
                    (0, after[0], 1 + second),
                    (1, after[1], 2 - second),
                    (2, 0.1, 3),
                )
            ],
            key=lambda one: one["place"],
        ),
        "first": {**_class(labels, 0, 0.9), "probability_after": after[0]},
        "second": {
            **_class(labels, second, (0.9, 0.06)[second]),
            "probability_after": after[second],
        },
        "flipped": flipped,
        "control": {
            "sets": sets,
            "areas": [0.5] * len(sets),
            "probabilities": [0.8 - 0.02 * i for i in range(len(sets))],
            "winners": [labels[0]] * (len(sets) - 1) + [labels[1]],
            "p_value": 1 / (1 + len(sets)),
        },
        "flip": {"segments": chosen, "proven_smallest": True, "tried": 7} if flip else None,
        "explained_again": explained_again,
    }
