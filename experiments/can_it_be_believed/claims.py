"""The passages of README.md that have numbers."""

from itertools import groupby
from typing import Any

from experiments.study import Passages, made_by


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From the explanations of three pictures and of noise, and from blanking the top of one."""
    found = measured["explanations"]
    noise = next(facts for name, facts in found.items() if name.startswith("noise"))
    pictures = {name: facts for name, facts in found.items() if not name.startswith("noise")}
    says.cited(
        "explained a picture with one seed and 100, then 1,000 masks, grey for perturbing and black for "
        "blanking, and took the top 4 segments as the answer",
        source="[doughazell/ai](https://github.com/doughazell/ai)",
    )
    made_by(measured["made by"], says)
    says("{} seeds of masks each", noise["seeds"])
    for _, group in groupby(pictures.items(), key=lambda item: item[0].split()[0]):
        for name, facts in group:
            row(name, facts, says)
    row("noise quickshift grey", noise, says)
    for pair in measured["shared"]:
        says("| {} | {} | {} | {} |", pair["one"], pair["other"], pair["k"] or "none", areas(pair))
    verdict(measured, pictures, says)
    blanked(measured["blanked"], says)


def row(name: str, facts: dict[str, Any], says: Passages) -> None:
    """One line of the table of explanations."""
    picture, segmenter, baseline = name.split()
    tied = ", ".join(f"{first} to {last}" for first, last in facts["tied"]) or "none"
    says(
        "| {}, {} {:.2f} | {} ({}) | {} | {} | {} | {} | {:,} | {:.2f} | {:.2f}, {:.2f} |",
        picture,
        facts["label"],
        facts["probability"],
        segmenter,
        facts["segments"],
        baseline,
        facts["verdict"],
        facts["k"] or "none",
        tied,
        facts["masks"],
        facts["r2"],
        *facts["beaten"],
    )


def areas(pair: dict[str, Any]) -> str:
    """Shared area, by chance, at most."""
    if not pair["k"]:
        return ""
    return f"{pair['jaccard']:.2f} ({pair['chance']:.2f}, {pair['ceiling']:.2f})"


def verdict(measured: dict[str, Any], pictures: dict[str, Any], says: Passages) -> None:
    """How many explanations have a stable top, and what other choices leave of it."""
    words = [facts["verdict"] for facts in pictures.values()]
    says(
        "{} of the {} explanations are stable, {} doubtful and {} unstable",
        words.count("stable"),
        len(words),
        words.count("doubtful"),
        words.count("unstable"),
    )
    tops = [facts["k"] for facts in pictures.values()]
    says(
        "only {} have exactly the top {} of the old lab as a stable top, and {} no more than the first "
        "segment",
        tops.count(4),
        4,
        tops.count(1),
    )
    compared = [pair for pair in measured["shared"] if pair["k"]]
    segmenters = [p for p in compared if p["one"].split()[1] != p["other"].split()[1]]
    baselines = [p for p in compared if p not in segmenters]
    for what, pairs in (("baseline", baselines), ("segmenter", segmenters)):
        shares = [pair["jaccard"] for pair in pairs]
        if shares:
            says(
                f"another {what} leaves {{:.2f}} to {{:.2f}} of the area shared in {{}} pairs",
                min(shares),
                max(shares),
                len(shares),
            )
    shares = [pair["jaccard"] / pair["ceiling"] for pair in segmenters]
    says("{:.2f} to {:.2f} of what they could share at most", min(shares), max(shares))
    says(
        "{} of {} pairs have no stable top to compare",
        len(measured["shared"]) - len(compared),
        len(measured["shared"]),
    )


def blanked(found: dict[str, Any], says: Passages) -> None:
    """What the picture loses with its top segments, beside other sets."""
    says(
        "without its top {} segments espresso falls from {:.2f} to {:.2f}, while {} other sets of as much "
        "area cost {:.2f} on average and {:.2f} at most (p = {:.3f}",
        found["segments"],
        found["before"],
        found["after"],
        found["other sets"],
        found["mean lost"],
        found["most lost"],
        found["p"],
    )
