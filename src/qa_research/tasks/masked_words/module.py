"""The LightningModule of masked language modelling: hidden words are told from those around them."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from qa_research.model.bert import MASKED_WORDS
from qa_research.model.some_tokens import OnlySome
from qa_research.tasks.masked_words.data import MaskedTexts
from qa_research.tasks.masking import Score, scores_of
from qa_research.tasks.pretrained import TextModule

LOSS, ACCURACY = "loss", "accuracy"
MEASURED = tuple(f"{part}/{name}" for part in ("val", "choosing") for name in (LOSS, ACCURACY))


class MaskedWords(TextModule):
    """Masked language modelling by an unmodified Hugging Face network.

    The loss is the mean cross entropy of a batch's hidden words in nats; that of an untrained network is near
    the logarithm of its vocabulary's size. `scores`: of the latest validation, by the piece's number.
    """

    measured: ClassVar[Sequence[str]] = MEASURED

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.pretraining is not None:
            raise ValueError(
                f"model.pretraining={self.pretraining} hides words before another task is trained, and "
                "task=masked_words does nothing else; leave it out"
            )
        self.scores: dict[int, Score] = {}
        self._found: list[tuple[int, Score]] = []

    def build(self, seed: int) -> tuple[str, ...]:
        """Make the network; a sentence for all that was loaded or newly initialised."""
        report = self.make_network(MASKED_WORDS, seed)
        self.only_some = OnlySome(self.network)
        return report

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        logits = self.logits_of(batch)
        loss = nn.functional.cross_entropy(logits, batch["told"])
        self.note_losses(
            batch["example"], lambda: torch.tensor([s.loss for s in scores_of(logits, batch)])
        )
        return self.share_of_step(loss, batch_idx)

    def on_validation_epoch_start(self) -> None:
        self._found = []

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        numbers = batch["example"].tolist()
        self._found += zip(numbers, scores_of(self.logits_of(batch), batch), strict=True)

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        self.scores = dict(self.from_all_processes(self._found))
        data = self._data
        measured: dict[str, float] = {}
        for part, which in (("val", data.scored()), ("choosing", data.chose())):
            some = [self.scores[number] for number in np.flatnonzero(which).tolist()]
            measured[f"{part}/{LOSS}"] = float(np.mean([score.loss for score in some]))
            measured[f"{part}/{ACCURACY}"] = 100 * float(np.mean([s.accuracy for s in some]))
        # Only for the callbacks: what is written, and at which step, is decided in training.metrics.
        self.log_dict(measured, logger=False)

    def logits_of(self, batch: dict[str, Tensor]) -> Tensor:
        """The scores of each piece of the vocabulary for each hidden word, [word piece]."""
        self.only_some.which = batch["hidden"]
        try:
            logits: Tensor = self.network(**self.inputs_of(batch)).logits
        finally:
            self.only_some.which = None
        return logits

    @property
    def _data(self) -> MaskedTexts:
        untyped: Any = self.trainer  # Lightning's types do not know its datamodule
        data: MaskedTexts = untyped.datamodule
        return data
