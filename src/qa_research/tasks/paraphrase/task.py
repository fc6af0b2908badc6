"""Paraphrase as a task: whether two sentences say the same, and how sure the network may be of that."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from qa_research.model.bert import check_window, count_parameters, input_names
from qa_research.model.kept import write_network
from qa_research.model.tokenizer import encode_pairs
from qa_research.tasks.paraphrase.opened import OpenedPairs, reopen, row_of, watched_of
from qa_research.tasks.paraphrase.pairs import Pair, read_pairs
from qa_research.tasks.pretraining import TextTask
from qa_research.tasks.task import StoredRun
from qa_research.tasks.watching import Watching, choose_examples
from qa_research.tasks.wired_texts import wiring_of_pairs
from qa_research.tasks.wiring import Wiring
from qa_research.text import command_line, plural

if TYPE_CHECKING:
    from qa_research.tasks.paraphrase.data import PairData
    from qa_research.tasks.paraphrase.module import PairClassifier

# In points: from here on a result speaks of confidence that is too large.
WORTH_TELLING = 2.0


class ParaphraseTask(TextTask):
    """Pairs of sentences that say the same (label 1) or not (label 0)."""

    fingerprinted: ClassVar[Mapping[str, str]] = {
        "train": "training pairs",
        "validation": "validation pairs",
        "weights": "initial weights",
        "tokenizer": "pieces and rules of the tokenizer",
    }
    reopened: ClassVar[Sequence[str] | None] = ()
    data: "PairData"
    module: "PairClassifier"

    def load(self, cache: Path, seed: int) -> list[str]:
        data = self.data
        data.load()
        tokenizer = self.module.tokenizer_of(data.vocabulary_texts(), cache)
        report = self.module.build(seed)
        check_window(self.network, data.max_tokens)
        first = data.train[0]
        one = encode_pairs(tokenizer, [first.first], [first.second], data.max_tokens)
        batch = one.padded([0], int(tokenizer.pad_token_id))
        self.module.reads(self.module.inputs_of(batch), "a pair of sentences")
        return list(report)

    def prepare(self, cache: Path, seed: int) -> None:
        self.data.prepare(self.module.tokenizer, seed)

    def example(self) -> dict[str, Tensor]:
        batch = self.data.encoded["train"].padded([0], self.data.pad_token_id)
        return {name: batch[name] for name in sorted(input_names(self.network) & batch.keys())}

    def fingerprints(self) -> dict[str, str]:
        return self.own_fingerprints()

    def facts(self) -> dict[str, Any]:
        data = self.data
        pairs = {"train": len(data.train), "validation": len(data.validation)} | data.sizes
        cut = {split: encoded.cut for split, encoded in data.encoded.items()}
        own = {"data": data.name, "pairs": pairs, "cut": cut, "loss_unit": "nats"}
        return own | self.start_facts()

    def description(self) -> list[str]:
        data, parts = self.data, self.data.sizes
        lines = [
            f"Data: {data.name}, {len(data.train):,} training and {len(data.validation):,} validation pairs "
            f"of {data.lengths('train').mean():.0f} tokens on average",
            f"Model: {self.module.name}, {count_parameters(self.network) / 1e6:.1f} million parameters, "
            f"{plural(torch.get_num_threads(), 'thread')}",
            f"{parts['choosing']:,} of the validation pairs choose the best weights and end the training, "
            f"{parts['temperature']:,} fit the temperature, and val/... are of the other {parts['scored']:,}",
        ]
        if cut := sum(encoded.cut for encoded in data.encoded.values()):
            pairs = plural(cut, "pair")
            lines.append(f"{pairs} lost words beyond data.max_tokens={data.max_tokens}")
        return lines

    def measured(self) -> list[str]:
        return list(self.module.measured)

    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        sure = f"  (too sure by {measured['val/overconfidence']:.1f} points)"
        return f"accuracy {measured['val/accuracy']:.1f}  F1 {measured['val/f1']:.1f}", sure

    def predictions(self) -> list[dict[str, Any]]:
        rows = zip(self.data.validation, self.module.logits, strict=True)
        return self.data.marked([row_of(pair, logits) for pair, logits in rows])

    def watching(self, request: int | str | Sequence[str | int]) -> Watching:
        data = self.data
        splits = {"train": data.train, "validation": data.validation}
        chosen = choose_examples(request, splits, data.seed, _of_file, "pair")
        watched = watched_of(chosen, self.module.tokenizer, data.max_tokens, self.network)
        return Watching(watched, data.max_tokens, data.batch_size, self.module.compiles)

    def wiring(self) -> Wiring:
        return wiring_of_pairs(self.module, self.data, ("first", "second"))

    def result(self, record: Mapping[str, Any]) -> list[str]:
        best, pairs = record["best"], record["pairs"]
        lines = [
            f"accuracy {best['val/accuracy']:.1f}   F1 {best['val/f1']:.1f}   of {pairs['scored']:,} pairs",
            f"the {pairs['choosing']:,} that chose these weights: accuracy "
            f"{best['choosing/accuracy']:.1f}, F1 {best['choosing/f1']:.1f}",
        ]
        if best["val/overconfidence"] >= WORTH_TELLING:
            lines.append(
                f"Too sure by {best['val/overconfidence']:.1f} points: so much is its mean confidence above "
                f"its accuracy. Loss {best['val/loss']:.3f}; {best['val/loss_at_temperature']:.3f} with a "
                f"temperature fitted on {pairs['temperature']:,} other pairs, which changes no prediction"
            )
        return lines

    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        asking = command_line("qa-research", "ask", directory) + ' --first "..." --second "..."'
        return [
            ("See its mistakes", command_line("qa-research", "evaluate", directory, "--wrong", 5)),
            ("Ask it", asking),
            ("Report it", command_line("qa-research", "report", directory)),
        ]

    def write_model(self, directory: Path) -> None:
        write_network(directory, self.network, self.module.tokenizer, self.module.adapters)

    @classmethod
    def reopen(cls, run: StoredRun, weights: Mapping[str, Tensor]) -> OpenedPairs:
        return reopen(run, weights)


def _of_file(path: str) -> list[Pair]:
    return read_pairs(path, "capture.questions")
