"""Training speed compared with Hugging Face's Trainer: python benchmarks/training_speed.py SQUAD_FILE.

The peer has the settings of Hugging Face's question-answering example: windows padded to 384, float32,
batches of 12. Both train minilm for one pass over the same questions, drawn by seed, with the same
learning rate, decay, clipping and dropout. Each measurement is a process of its own, alternating with the
others, so that ratios hold on a machine whose speed drifts and peak memory is measured separately.
Tokenising and start-up are not timed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speed_contestants import PEER, Measurement, measure

MAIN = ("ours-32", "ours-bf16")
PARTS = ("ours-32-padded", "ours-32-unfused", "ours-bf16-sdpa", "ours-bf16-no-dropout")
DEFAULT_QUESTIONS = 500


def main() -> None:
    """Alternate the measurements and print their ratios."""
    arguments = _arguments()
    if arguments.worker:
        print(json.dumps(asdict(measure(arguments.worker, arguments.squad, arguments.questions))))
        return
    rounds: dict[str, list[Measurement]] = {name: [] for name in (PEER, *MAIN, *PARTS)}
    for number in range(arguments.rounds):
        for name in (PEER, *MAIN, *(PARTS if number == 0 else ())):
            found = _in_own_process(name, arguments.squad, arguments.questions)
            rounds[name].append(found)
            rate = found.questions / found.train_s
            print(f"round {number + 1}: {name:<21}{rate:6.2f} questions/s", file=sys.stderr)
    report = summarize(rounds)
    print(json.dumps(report, indent=2) if arguments.json else render(report))


def summarize(rounds: dict[str, list[Measurement]]) -> dict[str, Any]:
    """Ratios to the peer of the same round (median, lowest, highest), and the factor of each part."""
    peers = rounds[PEER]
    report: dict[str, Any] = {
        "questions": peers[0].questions,
        "mean_tokens_of_a_window": round(peers[0].mean_tokens, 1),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "rows": {},
    }
    for name, found in rounds.items():
        ratios = [p.train_s / f.train_s for p, f in zip(peers, found, strict=False)]
        report["rows"][name] = {
            "questions_per_s": statistics.median(f.questions / f.train_s for f in found),
            "ratio": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "loss": statistics.median(f.loss for f in found),
            "peak_mib": max(f.peak_mib for f in found),
            "loading_share": statistics.median(f.loading_s / f.train_s for f in found),
        }
    first = {name: found[0].train_s for name, found in rounds.items()}
    report["where_it_comes_from"] = {
        "the loop itself (padded, float32)": first[PEER] / first["ours-32-padded"],
        "grouping by length": first["ours-32-padded"] / first["ours-32"],
        "fused optimizer (part of the loop)": first["ours-32-unfused"] / first["ours-32"],
        "bfloat16": first["ours-32"] / first["ours-bf16"],
        "attention without SDPA": first["ours-bf16-sdpa"] / first["ours-bf16"],
        "no dropout, as model=minilm has it": first["ours-bf16"] / first["ours-bf16-no-dropout"],
    }
    return report


def render(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"{report['questions']} questions, {report['mean_tokens_of_a_window']} tokens per window on "
        f"average, {report['threads']} threads",
        f"{'':<21}{'questions/s':>12}{'ratio [low, high]':>22}{'loss after':>12}"
        f"{'peak MiB':>10}{'loading':>9}",
    ]
    for name, row in report["rows"].items():
        ratio = f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
        lines.append(
            f"{name:<21}{row['questions_per_s']:>12.2f}{ratio:>22}{row['loss']:>12.3f}"
            f"{row['peak_mib']:>10.0f}{100 * row['loading_share']:>8.2f}%"
        )
    lines.append("where it comes from (first round, factors):")
    lines += [f"  {part:<38}{factor:.2f}" for part, factor in report["where_it_comes_from"].items()]
    return "\n".join(lines)


def _in_own_process(name: str, squad: Path, questions: int) -> Measurement:
    command = [sys.executable, __file__, str(squad), "--worker", name]
    command += ["--questions", str(questions)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("squad", type=Path, help="a SQuAD file of real questions")
    parser.add_argument("--questions", type=int, default=DEFAULT_QUESTIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.squad.is_file():
        parser.error(f"{arguments.squad} does not exist")
    return arguments


if __name__ == "__main__":
    main()
