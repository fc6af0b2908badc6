"""The texts of other tasks' data in batches, whose words are hidden when a batch is used."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qa_research.tasks.batched import BatchedData
from qa_research.tasks.left_out import Edits
from qa_research.tasks.masking import MASKS, SCORED_MASKS, Masking, hidden
from qa_research.tasks.unlabelled import HasTexts, Piece, PieceBatches, pieces_of

SPLITS = ("train", "validation")


class MaskedTexts(BatchedData):
    """The texts of `source`, the data of another task, as its section of the config describes them.

    Which words of a training text are hidden is drawn by the run's seed, the epoch and the text, so it is
    another choice in each epoch and the same one in a resumed training. Those of validation are drawn by
    `data.seed`, and never change.

    Raises:
        ValueError: its examples are not made of texts.
    """

    def __init__(self, source: Any) -> None:
        if not isinstance(source, HasTexts):
            raise ValueError(
                f"data={getattr(source, 'name', source)} has no texts whose words could be hidden; "
                "data=contexts, contexts_file, contexts_hub and pairs have some"
            )
        self._check_edits(source.edits)
        epochs = source.curriculum_epochs if source.curriculum else None
        super().__init__(source.curriculum, epochs, None, None, None, None)
        self.source = source
        self.name, self.seed = source.name, source.seed
        self.max_tokens = source.max_tokens
        self.batch_size, self.eval_batch_size = source.batch_size, source.eval_batch_size
        self.num_workers = source.num_workers
        self.pieces: dict[str, tuple[Piece, ...]] = {}

    def ids(self) -> list[str]:
        raise ValueError(
            "data.without, data.only and data.relabel name the examples of another task, and here their "
            "texts are trained on, each once"
        )

    def _check_edits(self, edits: Edits) -> None:
        if edits != Edits():
            self.ids()

    def load(self) -> Iterable[str]:
        """Read the texts; those that a tokenizer is trained on."""
        self.source.load()
        return self.source.vocabulary_texts()

    def tokenise(self, tokenizer: Any, masking: Masking, order_seed: int) -> None:
        """Turn both splits into pieces.

        Raises:
            ValueError: one of them has no text.
        """
        self.masking = masking
        for split in SPLITS:
            texts = self.source.texts_alone(split)
            self.pieces[split] = pieces_of(texts, tokenizer, self.max_tokens, split)
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.order_seed = order_seed

    def on_before_batch_transfer(
        self, batch: dict[str, Tensor], dataloader_idx: int
    ) -> dict[str, Tensor]:
        """Hide words; here, since the loader does not know the epoch, and tensors are still on the CPU."""
        if self.trainer is None or not self.trainer.training:
            return hidden(batch, self.pieces["validation"], self.masking, (self.seed, SCORED_MASKS))
        drawn_by = (self.order_seed, MASKS, self.trainer.current_epoch)
        return hidden(batch, self.pieces["train"], self.masking, drawn_by)

    def lengths(self, split: str) -> NDArray[np.int64]:
        return np.array([len(piece.ids) for piece in self.pieces[split]], dtype=np.int64)

    def batches_of(self, split: str) -> "PieceBatches":
        return PieceBatches(self.pieces[split], self.pad_token_id)

    def scored(self) -> NDArray[np.bool_]:
        """Which validation pieces are scored: those that choose nothing, or all if all choose."""
        chose = self.chose()
        return ~chose | chose.all()

    def chose(self) -> NDArray[np.bool_]:
        """Which validation pieces choose the best weights; all, if those that should have no text."""
        chose = np.array([piece.chose for piece in self.pieces["validation"]])
        return chose | ~chose.any()
