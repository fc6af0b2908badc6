"""The passages of README.md that have numbers."""

from typing import Any

import numpy as np

from experiments.study import Passages, made_by

TITLES = {
    "full": "`full`",
    "frozen": "`frozen`",
    "top_k": "`top_k`, two layers",
    "gradual": "`gradual`, a part every 20 steps",
    "discriminative": "`discriminative`, `decay=0.8`",
    "lora": "`lora`, `rank=8`",
    "bottleneck": "`bottleneck`, `width=48`",
    "pals": "`pals`, `width=96`",
}
MEGABYTE = 1e6


def claims(measured: dict[str, Any], says: Passages) -> None:
    """The table, and what LoRA was to show."""
    made_by(measured["made by"], says)
    says.defined("95 %")
    strategies = measured["strategies"]
    full, lora = strategies["full"], strategies["lora"]
    says("{:,} questions that chose nothing", full["seeds"]["1"]["questions"])
    says("{:,} parameters", full["parameters"]["network"])
    for name, found in strategies.items():
        says("| {} | {} | {} | {} | {} | {} | {} | {} |", TITLES[name], *row(name, found))
    more = [seed["EM"]["more"] for seed in lora["seeds"].values()]
    says(
        "LoRA's exact match differs from that of `full` by {} points",
        " and ".join(", ".join(f"{one['value']:+.1f}" for one in more).rsplit(", ", 1)),
    )
    says("the least end of an interval is {:+.1f}", min(one["interval"][0] for one in more))
    says("{:.1f} % of the parameters", 100 * share(lora))
    says("{:.0f} % of the time of a step", 100 * lora["time"]["ratio"])
    says(
        "{:.1f} instead of {:.0f} MB of gradients and moments",
        state(lora) / MEGABYTE,
        state(full) / MEGABYTE,
    )
    says(
        "{:.0f} instead of {:.0f} MB at most",
        lora["memory"]["peak"] / MEGABYTE,
        full["memory"]["peak"] / MEGABYTE,
    )


def row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    """Of the table: seeds, exact match, F1, difference from `full`, parameters, time and memory."""
    seeds = list(found["seeds"].values())
    sizes = found["parameters"]
    trained = f"{sizes['last']:,}"
    if sizes["first"] != sizes["last"]:
        trained = f"{sizes['first']:,} to {trained}"
    time, peak = found["time"], found["memory"]["peak"] / MEGABYTE
    return (
        str(len(seeds)),
        over_seeds(seeds, "EM"),
        over_seeds(seeds, "F1"),
        "" if name == "full" else difference(seeds),
        trained,
        f"{time['ratio']:.2f} ({time['low']:.2f} to {time['high']:.2f})",
        f"{state(found) / MEGABYTE:.1f}, {peak:,.0f}",
    )


def over_seeds(seeds: list[dict[str, Any]], metric: str) -> str:
    """The mean, and from the least lower end of all intervals to the highest upper end."""
    values = [seed[metric] for seed in seeds]
    low = min(value["interval"][0] for value in values)
    high = max(value["interval"][1] for value in values)
    return f"{np.mean([value['value'] for value in values]):.1f} ({low:.1f} to {high:.1f})"


def difference(seeds: list[dict[str, Any]]) -> str:
    """Of exact match from `full` with the same seed: the mean, and from the least to the highest end."""
    more = [seed["EM"]["more"] for seed in seeds]
    low, high = min(one["interval"][0] for one in more), max(one["interval"][1] for one in more)
    return f"{np.mean([one['value'] for one in more]):+.1f} ({low:+.1f} to {high:+.1f})"


def state(found: dict[str, Any]) -> int:
    """Bytes of gradients and of AdamW's moments."""
    return int(found["memory"]["gradients"] + found["memory"]["optimizer"])


def share(found: dict[str, Any]) -> float:
    """Of the network's parameters: those that train at the end."""
    return float(found["parameters"]["last"] / found["parameters"]["network"])
