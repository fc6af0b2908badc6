"""The passages of README.md that have numbers."""

from typing import Any

from experiments.study import Passages, made_by

# The role's words count as carrying the answer from this loss of its probability on.
CARRIES = 0.1
SHOWN = ("kind", "asked letter", "stated letter", "both letters", "other letter", "other word")


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From three trainings' kept steps: what each role's words are worth to the true answer."""
    made_by(measured["made by"], says)
    says(
        "{} `match` questions of another corpus, each about its own context", measured["questions"]
    )
    says.defined("95 % interval of the mean")
    for seed, found in measured["seeds"].items():
        for number, step in enumerate(found["steps"]):
            cells = [mean_and_half(found[f"lost {role}"][number]) for role in SHOWN]
            says(
                "| {} | {} | {:.2f} | {} |",
                "" if number else seed,
                step,
                found["probability"][number][0],
                " | ".join(cells),
            )
    moments(measured, says)
    controls(measured, says)


def moments(measured: dict[str, Any], says: Passages) -> None:
    """The plateau, where the kind carries the answer and the letters do not, and the change."""
    says("by {} or more", CARRIES)
    for seed, found in measured["seeds"].items():
        kind, letters = (first_from(found, role) for role in ("kind", "both letters"))
        says("seed {}: the kind from step {} on, the letters from step {} on", seed, kind, letters)
    ends = [found["lost both letters"][-1] for found in measured["seeds"].values()]
    says(
        "at the end the two letters together are worth {} of the probability",
        ", ".join(mean_and_half(end) for end in ends[:-1]) + f" and {mean_and_half(ends[-1])}",
    )
    ends = [found["lost kind"][-1] for found in measured["seeds"].values()]
    says(
        "the kind's words {}",
        ", ".join(mean_and_half(end) for end in ends[:-1]) + f" and {mean_and_half(ends[-1])}",
    )


def controls(measured: dict[str, Any], says: Passages) -> None:
    """Most that the words cost that should cost nothing, at any step of any seed."""
    for role, name in (("other letter", "another group's letter"), ("other word", "a random word")):
        most = max(
            (values[0], seed, step, values)
            for seed, found in measured["seeds"].items()
            for step, values in zip(found["steps"], found[f"lost {role}"], strict=True)
        )
        says(
            f"{name} costs {{}} at most (seed {{}}, step {{}})",
            mean_and_half(most[3]),
            most[1],
            most[2],
        )


def first_from(found: dict[str, Any], role: str) -> int:
    """The first kept step at which the lower end of the role's interval reaches CARRIES."""
    return next(
        step
        for step, (_, low, _) in zip(found["steps"], found[f"lost {role}"], strict=True)
        if low >= CARRIES
    )


def mean_and_half(values: list[float]) -> str:
    """A mean and half of its interval."""
    mean, low, high = values
    return f"{mean:.2f} ± {(high - low) / 2:.2f}"
