"""The arms of the study: which run is of which, and what a training computes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_research.runs.directory import read_config, read_record
from qa_research.tasks.batches import batch_order
from qa_research.training.setup import set_up

# The weights whose rate is chosen; those of which scores are told have other seeds.
RATE_SEED = 0
DATA = ("builtin", "squad")
# The steps of the arm that trains on, on either; all others take fewer.
LONGER = (450, 400)
# What each other arm is compared with.
CONTROL = "random"
# By arm: the words of a table.
ARMS = {
    "pretrained": "pretrained",
    "reinit_3": "pretrained, top 3 layers new",
    "embeddings": "pretrained embeddings only",
    "self": "hidden words first",
    "random": "random",
    "longer": "random, trained on",
}


def arm_of(config: Mapping[str, Any]) -> str | None:
    """The arm that a run is of; None: of none, as masked language modelling before another training."""
    model = config["model"]
    if not str(model["_target_"]).endswith(".QuestionAnswering"):
        return None
    if model["pretraining"] is not None:
        return "self"
    if model["weights"] == "random":
        return "longer" if config["trainer"]["max_steps"] in LONGER else "random"
    return {None: "pretrained", 3: "reinit_3", "all": "embeddings"}[model["reinit_top"]]


def finished(runs: Path, data: str) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """The finished runs on some data: directory, config and record."""
    for path in sorted(runs.glob(f"arms_{data}/*/run.json")):
        record = read_record(path.parent)
        if record is not None and record["status"] == "finished":
            yield path.parent, read_config(path.parent), record


def rates_of(runs: Path, data: str) -> dict[str, dict[str, float]]:
    """By arm and learning rate: the best F1 in percent on the questions that choose, of the seed for that."""
    found: dict[str, dict[str, float]] = {}
    for _, config, record in finished(runs, data):
        arm = arm_of(config)
        if arm is not None and config["seed"] == RATE_SEED:
            rate = f"{config['model']['lr']:g}"
            found.setdefault(arm, {})[rate] = record["best"]["choosing/f1"]
    return found


def best_rate(scores: Mapping[str, float]) -> str:
    """The rate with the best score; of equal ones the lower."""
    return max(sorted(scores, key=float), key=lambda rate: scores[rate])


def work_of(config: dict[str, Any], steps: int) -> float:
    """The multiplications and additions of a training's steps, in 1e12; validations are not counted.

    Six for each weight of the layers and token, padding included: two forward, and twice as many backward;
    and those of attention, and of the scores of the vocabulary for hidden words.
    """
    task = set_up(config | {"train": config["train"] | {"resume": "auto"}}).task
    task.prepare(Path(config["paths"]["cache"]).expanduser(), config["seed"])
    network = task.network.config
    layers, width = network.num_hidden_layers, network.hidden_size
    weights = layers * (4 * width**2 + 2 * width * network.intermediate_size)
    lengths, batches = task.data.lengths("train"), first_batches(task, config, steps)
    tokens = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    pairs = sum(len(batch) * int(lengths[batch].max()) ** 2 for batch in batches)
    total = 6.0 * weights * tokens + 12.0 * layers * width * pairs
    if (share := config["task"].get("masked_share")) is not None:
        told = sum(int(lengths[batch].sum()) for batch in batches) * share
        total += 6.0 * width * network.vocab_size * told
    return total / 1e12


def first_batches(task: Any, config: Mapping[str, Any], steps: int) -> list[Sequence[int]]:
    """The batches of the first steps, in the order of the training."""
    lengths = task.data.lengths("train")
    found: list[Sequence[int]] = []
    epoch = 0
    while len(found) < steps:
        found += batch_order(lengths, task.data.batch_size, config["seed"], epoch, 1)
        epoch += 1
    return found[:steps]
