"""Verdicts on three pictures and on noise, and how much area tops share that differ in one choice only."""

from itertools import combinations
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from qa_research.explain.images.result import Explanation
from qa_research.explain.images.shared_area import shared_area
from qa_research.runs.machine import machine
from qa_research.runs.versions import git_state, installed_versions

Choices = tuple[str, str, str]


def measure(runs: Path) -> dict[str, Any]:
    """Of each picture, segmenter and baseline: the verdict and what it rests on; and the shared areas."""
    found = explanations(runs)
    blanked = [Explanation.load(path.parent) for path in runs.glob("blanked/*/explanation.json")]
    if len(found) < 13 or len(blanked) != 1:
        raise FileNotFoundError(
            f"not all explanations of this study are in {runs}; commands.sh makes them"
        )
    return {
        "made by": {
            "commit": git_state()["commit"],
            "versions": {name: installed_versions()[name] for name in ("python", "torch")},
            "machine": machine(),
        },
        "explanations": {" ".join(choices): facts(one) for choices, one in found.items()},
        "shared": shared(found),
        "blanked": without_top(blanked[0]),
    }


def explanations(runs: Path) -> dict[Choices, Explanation]:
    """By picture, segmenter and baseline."""
    found = {}
    for path in runs.glob("*/explanation.json"):
        one = Explanation.load(path.parent)
        picture = one.picture.name.split(":")[-1].removesuffix(".png")
        found[picture, one.segmenter[0], one.baseline] = one
    return dict(sorted(found.items()))


def facts(one: Explanation) -> dict[str, Any]:
    """What the verdict of an explanation rests on."""
    top, curves = one.stable_top, one.curves
    assert top is not None
    assert curves is not None
    return {
        "label": one.explained.label,
        "probability": one.explained.probability,
        "segments": one.n_segments,
        "seeds": one.sampling.seeds,
        "masks": one.sampling.masks,
        "r2": one.surrogate.r2,
        "verdict": one.verdict.word,
        "ranks": one.verdict.ranks,
        "doubts": list(one.verdict.doubts),
        "k": top.k,
        "tied": [list(ranks) for ranks in top.tied_ranks],
        "chance": top.chance,
        "beaten": [curves.deletion.beaten, curves.insertion.beaten],
    }


def shared(found: dict[Choices, Explanation]) -> list[dict[str, Any]]:
    """Pairs of explanations of a picture that differ in the segmenter or in the baseline, not in both.

    Compared are as many top segments as are stable in both.
    """
    pairs = []
    for (a, one), (b, other) in combinations(found.items(), 2):
        differing = [i for i in range(3) if a[i] != b[i]]
        if differing not in ([1], [2]) or one.stable_top is None or other.stable_top is None:
            continue
        k = min(one.stable_top.k, other.stable_top.k)
        pair: dict[str, Any] = {"one": " ".join(a), "other": " ".join(b), "k": k}
        if k:
            area = shared_area(one, other, k)
            pair |= {"jaccard": area.jaccard, "chance": area.chance, "ceiling": area.ceiling}
        pairs.append(pair)
    return pairs


def without_top(one: Explanation) -> dict[str, Any]:
    """What blanking the top segments does, beside other sets of as much area."""
    after = one.counterfactual
    assert after is not None
    control = after.control
    lost = [after.first.probability - float(p) for p in control.probabilities]
    return {
        "segments": len(after.segments),
        "before": after.first.probability,
        "after": after.first.probability_after,
        "second": after.second.label,
        "second before": after.second.probability,
        "second after": after.second.probability_after,
        "other sets": len(lost),
        "mean lost": sum(lost) / len(lost),
        "most lost": max(lost),
        "p": control.p_value,
        "again": after.explained_again.verdict.ranks
        if after.explained_again and after.explained_again.verdict
        else "",
    }


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """None: the sheet that is shown was drawn by `explain` itself."""
    return {}
