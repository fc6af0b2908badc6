"""The passages of README.md that have numbers."""

from typing import Any

from experiments.study import Passages, made_by
from experiments.words_that_match.figures import before_jump
from experiments.words_that_match.roles import ROLES

CONTROLS = {
    "other letter": "another group's letter costs",
    "sentence word": "another word of the answer's sentence costs",
    "as many words": "as many random words as the kind has cost",
}


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From three trainings' kept steps: what each role's words are worth to the true answer."""
    seeds = measured["seeds"]
    made_by(measured["made by"], says)
    says(
        "{} `match` questions of another draw of the same generator, with contexts under {} characters",
        measured["questions"],
        measured["longest"],
    )
    says.defined("95 % interval of the mean")
    for seed, found in seeds.items():
        last = before_jump(found)
        for number, when in ((last, "before"), (last + 1, "after"), (-1, "end")):
            says(
                "| {} | {}, step {} | {:.2f} | {} |",
                seed if when == "before" else "",
                when,
                found["steps"][number],
                found["probability"][number][0],
                " | ".join(mean_and_half(found[f"lost {role}"][number]) for role in ROLES),
            )
    early(seeds, says)
    before(seeds, says)
    at_the_end(seeds, says)
    controls(seeds, says)


def mean_and_half(values: list[float], decimals: int = 2) -> str:
    """A mean and half of its interval."""
    mean, low, high = values
    return f"{mean:.{decimals}f} ± {(high - low) / 2:.{decimals}f}"


def joined(words: list[str]) -> str:
    """Words with commas, and "and" before the last."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def of_seeds(seeds: dict[str, Any], name: str, number: int = -1) -> str:
    """A quantity's mean and half-interval at one step of each seed."""
    return joined([mean_and_half(found[name][number]) for found in seeds.values()])


def early(seeds: dict[str, Any], says: Passages) -> None:
    """Up to which kept step no role is worth more than a little."""
    step = 30
    most = max(
        found[f"lost {role}"][number][0]
        for found in seeds.values()
        for role in ROLES
        for number, at in enumerate(found["steps"])
        if at <= step
    )
    says("Up to step {} no role's words cost more than {:.2f}", step, most)


def before(seeds: dict[str, Any], says: Passages) -> None:
    """The last kept step before the jump: the kind beside the letters, question by question."""
    places = {seed: before_jump(found) for seed, found in seeds.items()}
    differences = {
        seed: found["kind less both letters"][places[seed]] for seed, found in seeds.items()
    }
    says(
        "at the last kept step before the jump (step {}) the kind costs {}, both letters {}, and the "
        "difference, paired by question, is {}",
        joined([str(found["steps"][places[seed]]) for seed, found in seeds.items()]),
        joined([mean_and_half(found["lost kind"][places[seed]]) for seed, found in seeds.items()]),
        joined(
            [
                mean_and_half(found["lost both letters"][places[seed]])
                for seed, found in seeds.items()
            ]
        ),
        joined([mean_and_half(values) for values in differences.values()]),
    )
    words = [
        mean_and_half(found["lost sentence word"][places[seed]]) for seed, found in seeds.items()
    ]
    says("A random other word of the answer's sentence costs {} there", joined(words))
    # Otherwise "in all three seeds" is wrong.
    assert all(low > 0 for _, low, _ in differences.values())


def at_the_end(seeds: dict[str, Any], says: Passages) -> None:
    """The trained network: the letters, the kind, the swap, and two ways to mask both letters."""
    says("masking both letters costs {}", of_seeds(seeds, "lost both letters"))
    says(
        "the asked one costs {} more than the stated one",
        of_seeds(seeds, "asked letter less stated letter"),
    )
    says(
        "masking the kind's words costs {} of the probability and {} of the sum of the two logits",
        of_seeds(seeds, "lost kind"),
        of_seeds(seeds, "logits kind"),
    )
    says("the letters together cost {} of that sum", of_seeds(seeds, "logits both letters"))
    ends = [found["end"] for found in seeds.values()]
    says(
        "the true answer loses {}, and the rival's probability rises from {:.0e} at most to {}",
        joined([mean_and_half(end["lost rival's letter"], 3) for end in ends]),
        max(end["rival before"][0] for end in ends),
        joined([mean_and_half(end["rival after"], 3) for end in ends]),
    )
    says(
        "masking both costs {} less than masking the stated one alone",
        of_seeds(seeds, "stated letter less both letters"),
    )
    says(
        "with `[UNK]` in place of the second `[MASK]` {} more is lost than with two `[MASK]`",
        joined([mean_and_half(end["apart less alike"]) for end in ends]),
    )


def controls(seeds: dict[str, Any], says: Passages) -> None:
    """Most that the controls cost, at any step of any seed."""
    for role, name in CONTROLS.items():
        values, seed, step = max(
            (values, seed, step)
            for seed, found in seeds.items()
            for step, values in zip(found["steps"], found[f"lost {role}"], strict=True)
        )
        says(f"{name} {{}} at most (seed {{}}, step {{}})", mean_and_half(values), seed, step)
    says(
        "at the end the stated letter costs {} more than another word of its sentence",
        of_seeds(seeds, "stated letter less sentence word"),
    )
