"""A trained network that says whether two sentences say the same, read back from its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from scipy.special import softmax
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.config import build, check_value
from qa_research.model.bert import TWO_LABELS
from qa_research.model.kept import read_network
from qa_research.tasks.asked_texts import logits_of, truth_of_labels
from qa_research.tasks.dividing import linked
from qa_research.tasks.opened import Calibrated, Examples, Opened, Told, TruthOf
from qa_research.tasks.paraphrase.pairs import Pair, pair_of, read_pairs
from qa_research.tasks.task import PARAGRAPH, StoredRun
from qa_research.tasks.watched_texts import LabelledPair, watched_pairs
from qa_research.tasks.watching import Watched

# By label.
ANSWERS = ("not a paraphrase", "paraphrase")


@dataclass(frozen=True, repr=False)
class OpenedPairs(Opened[Pair]):
    """A network with its tokenizer, in eval mode on one device, in float32."""

    network: PreTrainedModel
    tokenizer: Any

    chose: ClassVar[str] = "chose the best weights or fitted the temperature"
    asked_with: ClassVar[Sequence[str]] = ("first", "second")

    def own(self, split: str) -> Examples[Pair]:
        return self.read_again(build("data", self.config["data"]), split)

    def of_file(self, path: str, encoding: str) -> Examples[Pair]:
        pairs = read_pairs(path, "--data", encoding, "--encoding", labelled=False)
        return Examples(pairs, Path(path).name, "file")

    def example(self, given: Mapping[str, str]) -> Pair:
        return pair_of(given["first"], given["second"], ("--first", "--second"))

    def told(self, row: Pair) -> Told:
        truths = () if row.label is None else (ANSWERS[row.label],)
        return Told(row.id, f"{row.first} | {row.second}", truths, row.kind)

    def rows(self, examples: Sequence[Pair]) -> list[dict[str, Any]]:
        firsts, seconds = [pair.first for pair in examples], [pair.second for pair in examples]
        longest = self.config["data"]["max_tokens"]
        logits = logits_of(self.network, self.tokenizer, firsts, seconds, longest)
        rows = zip(examples, logits, linked([*zip(firsts, seconds, strict=True)]), strict=True)
        return [row_of(pair, own) | {PARAGRAPH: group} for pair, own, group in rows]

    @property
    def right(self) -> str | None:
        return "correct"

    def truth_of(self, examples: Sequence[Pair]) -> TruthOf:
        return truth_of_labels(examples, self.tokenizer, self.config["data"]["max_tokens"])

    def watched(self, examples: Sequence[Pair]) -> Watched:
        longest = self.config["data"]["max_tokens"]
        asked = [("asked", pair) for pair in examples]
        return watched_of(asked, self.tokenizer, longest, self.network)

    def calibrated(self, rows: Sequence[Mapping[str, Any]]) -> Calibrated:
        logits, labels = ([row[key] for row in rows] for key in ("logits", "label"))
        # Fitted with the best weights; of others, and while it is still trained, it is not known.
        fitted = (
            self.record.get("best", {}).get("val/temperature") if self.label == "best" else None
        )
        return Calibrated(np.array(logits), np.array(labels), fitted)


def watched_of(
    chosen: Sequence[tuple[str, Pair]], tokenizer: Any, max_tokens: int, network: Any
) -> Watched:
    """Pairs, each with its split, as they are looked at."""
    pairs = [LabelledPair(p.id, split, p.kind, p.first, p.second, p.label) for split, p in chosen]
    return watched_pairs(pairs, ANSWERS, ("first", "second"), tokenizer, max_tokens, network)


def row_of(pair: Pair, logits: np.ndarray) -> dict[str, Any]:
    """What is written of a pair: the answer, how sure it is, and whether it is right if that is known."""
    label = int(logits.argmax())
    known = {} if pair.label is None else {"label": pair.label, "correct": int(label == pair.label)}
    return {
        "id": pair.id,
        "kind": pair.kind,
        "prediction": ANSWERS[label],
        "predicted": label,
        "probability": float(softmax(logits)[label]),
        "logits": [float(logit) for logit in logits],
    } | known


def reopen(run: StoredRun, weights: Mapping[str, Tensor]) -> OpenedPairs:
    """The network of a run with the weights of a checkpoint, on a GPU if there is one.

    Raises:
        ValueError: the weights do not fit the network.
    """
    check_value("data.max_tokens", run.config["data"].get("max_tokens"), Annotated[int, Ge(8)])
    network, tokenizer = read_network(run.directory, weights, str(run.checkpoint), TWO_LABELS)
    stored = {field.name: getattr(run, field.name) for field in fields(StoredRun)}
    return OpenedPairs(**stored, network=network, tokenizer=tokenizer)
