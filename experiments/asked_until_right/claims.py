"""The passages of README.md that have numbers."""

from typing import Any

from experiments.study import Passages, made_by
from qa_research.stats import exact_ratio

SHOWN = (50, 100, 200, 400)
OLD_LAB = "[doughazell/ai](https://github.com/doughazell/ai)"
# Right and asked of the old lab's own database, pretrained and from random weights.
OLD_PRETRAINED, OLD_RANDOM = (17, 51), (15, 1584)


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From the right answers of four trainings over their steps, and their searches."""
    runs = measured["runs"]
    first = runs["pretrained 1"]
    says.cited(
        "17 right of 51 for the pretrained network and 15 of 1,584 from random weights, each after about "
        "1,000 steps",
        source=OLD_LAB,
    )
    says(
        "{:,} questions of its training set, {:,} of its dev set, of which {} choose the best step",
        first["questions"]["train"],
        first["questions"]["validation"],
        first["questions"]["choosing"],
    )
    says(
        "{} steps of {} windows, peak learning rate {:g}",
        first["steps"],
        first["batch"],
        first["lr"],
    )
    made_by(measured["made by"], says)
    for name, run in runs.items():
        row(name, run, says)
    searches(runs, says)
    verdict(runs, says)
    says.cited("Rajpurkar et al. 2016", source="SQuAD v1.1")
    says.defined("MiniLM (6 layers, 384 wide)")
    says.defined("exact 95 % intervals")
    says.defined("drawn with seed 1; the last states of seed 1 also answered")
    says.defined("at the end of seed 1:")
    says(
        "| weights | seed | step {} | {} | {} | {} | end | end, old lab's criterion | questions a search "
        "needs, median and {} % |",
        *SHOWN,
        95,
    )
    says.cited('such as "20. 8 %"', source=OLD_LAB)


def row(name: str, run: dict[str, Any], says: Passages) -> None:
    """One line of the table: right answers at some steps and at the end, and the questions a search needs."""
    start, seed = name.split()
    states = run["states"]
    last = states[str(run["steps"])]
    says(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} and {} |",
        start,
        seed,
        *(percent(states[str(step)]["exact"]) for step in SHOWN),
        percent(last["exact"]),
        percent(last["first gold"]),
        *last["needed"],
    )


def percent(ratio: list[float]) -> str:
    """Right answers in percent, with the ends of the interval."""
    right, asked, low, high = ratio
    return f"{100 * right / asked:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def searches(runs: dict[str, Any], says: Passages) -> None:
    """How many questions each search for a right answer needed."""
    for name, word in (
        ("pretrained 1", "pretrained network"),
        ("random 1", "one from random weights"),
    ):
        run = runs[name]
        found = run["states"][str(run["steps"])]["searches"]
        says(
            f"the {word} needed {{}} to {{}} questions in {{}} searches",
            min(found),
            max(found),
            len(found),
        )


def verdict(runs: dict[str, Any], says: Passages) -> None:
    """The ends of the trainings beside each other, and the old lab's ratios with their intervals."""
    ends = {name: run["states"][str(run["steps"])] for name, run in runs.items()}
    for start in ("pretrained", "random"):
        shares = [share(one["exact"]) for name, one in ends.items() if name.startswith(start)]
        says(f"{{:.1f}} and {{:.1f}} % from {start} weights", *shares)
    says("{} steps", runs["pretrained 1"]["steps"])
    apart = [step for step in sorted(map(int, runs["random 1"]["states"])) if is_apart(runs, step)]
    says("apart at every kept step from {} on", apart[0])
    for right, asked in (OLD_PRETRAINED, OLD_RANDOM):
        ratio = exact_ratio(right, asked)
        says(
            "{} of {:,} is {:.2f} [{:.2f}, {:.2f}] %",
            right,
            asked,
            100 * ratio.value,
            100 * ratio.low,
            100 * ratio.high,
        )
    golds = [share(one["first gold"]) for name, one in ends.items() if name.startswith("random")]
    says("{:.1f} and {:.1f} % by the old lab's criterion", *golds)


def share(ratio: list[float]) -> float:
    """Right answers in percent."""
    return 100 * ratio[0] / ratio[1]


def is_apart(runs: dict[str, Any], step: int) -> bool:
    """Whether no interval from random weights reaches one from pretrained weights, at this step and later."""
    for later in (name for name in runs["random 1"]["states"] if int(name) >= step):
        lowest = min(runs[f"pretrained {n}"]["states"][later]["exact"][2] for n in (1, 2))
        highest = max(runs[f"random {n}"]["states"][later]["exact"][3] for n in (1, 2))
        if highest >= lowest:
            return False
    return True
