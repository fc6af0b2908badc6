"""The LightningModule of any task that chooses a label for a text, and may be asked how sure it is."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from qa_research.calibration import (
    confidence_of,
    fit_temperature,
    log_loss,
    smooth_calibration_error,
)
from qa_research.model.bert import TWO_LABELS
from qa_research.scores import STATISTICS
from qa_research.tasks.parted import CHOOSING, SCORED, TEMPERATURE, PartedData
from qa_research.tasks.pretrained import TextModule

SCORES = ("loss", "accuracy", "f1")
CALIBRATION = ("smooth_ece", "overconfidence", "temperature", "loss_at_temperature")
MEASURED = (*(f"val/{n}" for n in (*SCORES, *CALIBRATION)), *(f"choosing/{n}" for n in SCORES))


class TwoLabels(TextModule):
    """Which of two labels a text has, by an unmodified Hugging Face network.

    The loss is Hugging Face's own: the mean cross entropy in nats. `logits` [example label]: of the latest
    validation, in the order of the validation examples. A validation measures `MEASURED`: loss in nats,
    accuracy and the F1 of label 1 in percent, how far confidence is from accuracy in points, and the loss at
    the temperature that fits another part of the examples.
    """

    measured: ClassVar[Sequence[str]] = MEASURED

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.logits: NDArray[np.float64] = np.zeros((0, 2))
        self._logits: list[tuple[int, list[float]]] = []

    def build(self, seed: int) -> tuple[str, ...]:
        """Make the network; a sentence for all that was loaded or newly initialised."""
        return self.make_network(TWO_LABELS, seed)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        output, labels = (
            self.network(**self.inputs_of(batch), labels=batch["label"]),
            batch["label"],
        )
        self.note_losses(
            batch["example"], lambda: cross_entropy(output.logits, labels, reduction="none")
        )
        return self.share_of_step(output.loss, batch_idx)

    def on_validation_epoch_start(self) -> None:
        self._logits = []

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        logits = self.network(**self.inputs_of(batch)).logits
        self._logits += zip(batch["example"].tolist(), logits.tolist(), strict=True)

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        untyped: Any = self.trainer  # Lightning's types do not know its datamodule
        data: PartedData = untyped.datamodule
        by_place = dict(self.from_all_processes(self._logits))
        self.logits = np.array([by_place[place] for place in range(len(data.validation))])
        labels = np.array([row.label for row in data.validation])
        fitting, scored, choosing = map(data.which, (TEMPERATURE, SCORED, CHOOSING))
        temperature = fit_temperature(self.logits[fitting], labels[fitting])
        measured = _scores(self.logits[scored], labels[scored], "val")
        measured |= _calibration(self.logits[scored], labels[scored], temperature)
        measured |= _scores(self.logits[choosing], labels[choosing], "choosing")
        # Only for the callbacks: what is written, and at which step, is decided in training.metrics.
        self.log_dict(measured, logger=False)


def _scores(logits: NDArray[np.float64], labels: NDArray[np.int64], split: str) -> dict[str, float]:
    predicted = logits.argmax(axis=1)
    return {
        f"{split}/loss": log_loss(logits, labels),
        f"{split}/accuracy": 100 * float((predicted == labels).mean()),
        f"{split}/f1": 100 * STATISTICS["f1"].of(np.array([predicted, labels], dtype=np.float64)),
    }


def _calibration(
    logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float
) -> dict[str, float]:
    confidence, right = confidence_of(logits, labels)
    return {
        "val/smooth_ece": 100 * smooth_calibration_error(confidence, right),
        "val/overconfidence": 100 * float((confidence - right).mean()),
        "val/temperature": temperature,
        "val/loss_at_temperature": log_loss(logits / temperature, labels),
    }
