"""The study's figure and table: python experiments/words_that_match/draw.py RUN...

Reads RUN/attributions/*-watched-*/attribution.json of each run, and averages over its watched
questions that name a group.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from qa_research.explain.words.result import AttributionOverSteps

ROLES = {
    "question word": "#c05f00",
    "letter in the question": "#5b9bc8",
    "letter in the context": "#0b4f84",
    "words of the answer": "#6b7280",
}
METHOD = "erasure"


def main(runs: list[str]) -> None:
    """Draw a panel a run, and print at which step each role carries most."""
    figure, panels = plt.subplots(1, len(runs), figsize=(4.2 * len(runs), 3.6), sharey=True)
    for run, panel in zip(runs, np.atleast_1d(panels), strict=True):
        found = [
            AttributionOverSteps.load(path)
            for path in sorted(Path(run).glob("attributions/*-watched-*/*.json"))
        ]
        matches = [one for one in found if letter_of(one) is not None]
        if not matches:
            raise SystemExit(
                f"{run} has no attributions; qa-research attribute {run} --watched makes them"
            )
        steps = matches[0].steps
        shares = {role: np.mean([carried(one)[role] for one in matches], axis=0) for role in ROLES}
        probability = np.mean([one.probability for one in matches], axis=0)
        for role, colour in ROLES.items():
            panel.plot(steps, shares[role], color=colour, marker="o", markersize=3, label=role)
        panel.set_xlabel("optimizer step")
        panel.set_title(f"seed {Path(run).name.rsplit('-s', 1)[-1].split('-')[0]}")
        above = panel.twinx()
        above.plot(
            steps, probability, color="#2e7d32", linestyle=":", label="probability of the true span"
        )
        above.set_ylim(0, 1.02)
        above.tick_params(colors="#2e7d32", labelright=panel is np.atleast_1d(panels)[-1])
        print(run, f"({len(matches)} questions)")
        for role, values in {**shares, "probability": probability}.items():
            print(f"  {role:24}", " ".join(f"{value:7.2f}" for value in values))
    first = np.atleast_1d(panels)[0]
    first.set_ylabel("logits lost without the word")
    handles, labels = first.get_legend_handles_labels()
    dotted, name = above.get_legend_handles_labels()
    figure.legend(
        handles + dotted, labels + name, loc="lower center", ncols=5, frameon=False, fontsize=8
    )
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(Path(__file__).with_name("figure.png"), dpi=130)


def letter_of(found: AttributionOverSteps) -> str | None:
    """The letter of the group that the question is about; None if it is not about a group."""
    words = [word.text for word in found.text.words if word.part == "question"]
    letters = [word for word in words if len(word) == 1 and word.isalpha()]
    return letters[0] if letters else None


def carried(found: AttributionOverSteps) -> dict[str, np.ndarray]:
    """Logits of the true span that each role's words carry, by step."""
    values = np.array(found.methods[METHOD].span)
    words, letter = found.text.words, letter_of(found)
    first = next(i for i, word in enumerate(words) if word.part == "question")
    roles = {
        "question word": [first],
        "letter in the question": [
            i for i, w in enumerate(words) if w.part == "question" and w.text == letter
        ],
        "letter in the context": [
            i for i, w in enumerate(words) if w.part != "question" and w.text == letter
        ],
        "words of the answer": [i for i, word in enumerate(words) if word.in_span],
    }
    return {role: values[:, indices].sum(axis=1) for role, indices in roles.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
