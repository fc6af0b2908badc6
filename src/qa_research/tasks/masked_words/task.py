"""Masked language modelling as a task: what its runs read, measure, write and show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Gt, Lt
from torch import Tensor

from qa_research.model.bert import check_window, count_parameters
from qa_research.model.kept import write_network
from qa_research.model.tokenizer import tokenizer_fingerprint
from qa_research.model.weights import weights_fingerprint
from qa_research.tasks.masked_words.opened import OpenedMaskedWords, reopen, row_of
from qa_research.tasks.masking import masking_of
from qa_research.tasks.task import Metric, StoredRun, Task
from qa_research.text import command_line, plural

if TYPE_CHECKING:
    from qa_research.tasks.masked_words.data import MaskedTexts
    from qa_research.tasks.masked_words.module import MaskedWords


class MaskedWordsTask(Task):
    """Words of texts are hidden, and told from those around them.

    The texts are those of another task's data, without its questions or labels. `masked_share`: of a text's
    tokens that are to be told.
    """

    fingerprinted: ClassVar[Mapping[str, str]] = {
        "train": "training texts",
        "validation": "validation texts",
        "weights": "initial weights",
        "tokenizer": "pieces and rules of the tokenizer",
    }
    reopened: ClassVar[Sequence[str] | None] = ()
    data: "MaskedTexts"
    module: "MaskedWords"

    def __init__(
        self,
        examples: str,
        metrics: list[Metric],
        masked_share: Annotated[float, Gt(0), Lt(1)],
        data: Any,
        model: Any,
    ) -> None:
        # Only a training needs its loaders, and Lightning with them.
        from qa_research.tasks.masked_words.data import MaskedTexts

        super().__init__(examples, metrics, MaskedTexts(data), model)
        self.masked_share = masked_share

    def load(self, cache: Path, seed: int) -> list[str]:
        data, module = self.data, self.module
        tokenizer = module.tokenizer_of(data.load(), cache)
        source = module.tokenizer_source or module.weights
        masking = masking_of(tokenizer, self.masked_share, f"the tokenizer {source}")
        report = module.build(seed)
        check_window(self.network, data.max_tokens)
        data.tokenise(tokenizer, masking, seed)
        module.reads(module.inputs_of(self.example()), "a text")
        return list(report)

    def prepare(self, cache: Path, seed: int) -> None:
        pass

    def example(self) -> dict[str, Tensor]:
        batch = self.data.batches_of("train").__getitems__([0])
        return self.module.inputs_of(batch)

    def fingerprints(self) -> dict[str, str]:
        return self.data.source.fingerprints() | {
            "weights": weights_fingerprint(self.network, self.module.adapters),
            "tokenizer": tokenizer_fingerprint(self.module.tokenizer),
        }

    def facts(self) -> dict[str, Any]:
        data = self.data
        texts = {split: len(pieces) for split, pieces in data.pieces.items()}
        return {
            "data": data.name,
            "texts": texts | {"choosing": int(data.chose().sum())},
            "loss_unit": "nats",
            "most_frequent": self.most_frequent,
        }

    @property
    def most_frequent(self) -> float:
        """How much of what is scored the most frequent token of the training texts is, in percent."""
        counts = Counter(int(i) for p in self.data.pieces["train"] for i in p.ids[p.places])
        most = counts.most_common(1)[0][0]
        pieces = self.data.pieces["validation"]
        asked = [pieces[number] for number in np.flatnonzero(self.data.scored())]
        return 100 * float(np.mean([(p.ids[p.places] == most).mean() for p in asked]))

    def description(self) -> list[str]:
        data = self.data
        chose, scored = int(data.chose().sum()), int(data.scored().sum())
        train, validation = (len(data.pieces[split]) for split in data.pieces)
        return [
            f"Data: {data.name}, {train:,} training and {validation:,} validation texts of "
            f"{data.lengths('train').mean():.0f} tokens on average; {100 * self.masked_share:g} % are hidden",
            f"Model: {self.module.name}, {count_parameters(self.network) / 1e6:.1f} million parameters, "
            f"{plural(torch.get_num_threads(), 'thread')}",
            f"{'All' if chose == validation else f'{chose:,}'} validation texts choose the best weights; "
            f"val/... are of {scored:,}, of which the most frequent token is {self.most_frequent:.1f} %",
        ]

    def measured(self) -> list[str]:
        return list(self.module.measured)

    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        return f"accuracy {measured['val/accuracy']:.1f}", ""

    def predictions(self) -> list[dict[str, Any]]:
        chose = self.data.chose().tolist()
        rows = zip(self.data.pieces["validation"], chose, strict=True)
        return [
            row_of(piece, self.module.scores[piece.number]) | {"chose": is_choosing}
            for piece, is_choosing in rows
        ]

    def result(self, record: Mapping[str, Any]) -> list[str]:
        best, texts = record["best"], record["texts"]
        return [
            f"loss {best['val/loss']:.3f} nats a hidden word, {best['val/accuracy']:.1f} % of them told "
            f"right (always the most frequent token: {record['most_frequent']:.1f} %)",
            f"the {texts['choosing']:,} texts that chose these weights: loss {best['choosing/loss']:.3f}, "
            f"{best['choosing/accuracy']:.1f} %",
        ]

    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        asking = command_line("qa-research", "ask", directory)
        mask = self.module.tokenizer.mask_token
        return [
            ("Let it fill in", f'{asking} --input "text=... {mask} ..."'),
            ("Report it", command_line("qa-research", "report", directory)),
        ]

    def write_model(self, directory: Path) -> None:
        write_network(directory, self.network, self.module.tokenizer, self.module.adapters)

    @classmethod
    def reopen(cls, run: StoredRun, weights: Mapping[str, Tensor]) -> OpenedMaskedWords:
        return reopen(run, weights)

    def size_of(self, batch: Mapping[str, Tensor]) -> int:
        return len(batch["example"])
