"""Attention in the training step's own forward pass, for one row of its batch."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from qa_research.capture.forward import Forward, attention_of
from qa_research.capture.recorders.recorder import AttentionLayersRecorder, Subject, to_numpy
from qa_research.capture.recording.arrays import Array
from qa_research.capture.sites import Anatomy, Site


class BatchAttentionRecorder(AttentionLayersRecorder):
    """What the network attended to while it learned, not while it was tested: `row` of the batch that ended a
    captured step (the last one of an accumulation), through hooks that exist only during such steps.

    Before dropout, in the training's precision. A different question each time, as batches come. Empty at
    step 0, where a batch has fewer rows, and where a training ends early between two planned steps.
    """

    def __init__(
        self,
        row: Annotated[int, Ge(0)],
        layers: list[int] | None,
        dtype: Literal["float16", "float32"],
    ) -> None:
        super().__init__(layers)
        self.row = row
        self.dtype = dtype

    def prepare(self, key: str, subject: Subject) -> None:
        if subject.training.is_compiled:
            raise ValueError(
                f"{key} looks into the training step with hooks, which a compiled network does not call; "
                "set model.compile=false, or record `attention` of the watched questions instead"
            )
        batch_size = subject.training.batch_size
        if self.row >= batch_size:
            raise ValueError(
                f"{key}.row={self.row}, but a batch has the rows 0 to {batch_size - 1} "
                "(data.batch_size)"
            )
        self.batch_sites = self.choose_layers(key, subject.network)
        self.network = subject.network
        self.heads = Anatomy(subject.network).heads
        self.mask = subject.training.mask
        self.has_ids = "input_ids" in subject.training.watched.inputs
        self._clear(subject.training.max_tokens)

    def after_batch(self, values: Mapping[Site, Tensor], batch: Mapping[str, Tensor]) -> None:
        self.forget_step()
        row = self.row
        if row >= len(batch[self.mask]):
            return  # the last batch of an epoch may be smaller
        mask = batch[self.mask][row : row + 1].bool().cpu()
        count = int(mask.sum())
        own = {site: values[site][row : row + 1].float().cpu() for site in self.batch_sites}
        for i, layer in enumerate(self.layers):
            weight = attention_of(self.network, layer, own, mask)[0]
            self.weight[i, :, :count, :count] = to_numpy(weight[:, :count, :count], self.dtype)
        if self.has_ids:
            self.token_id[:count] = batch["input_ids"][row, :count].cpu().numpy()
        self.tokens[...] = count

    def record(self, forward: Forward) -> Mapping[str, Array]:
        ids = Array(("token",), self.token_id.copy(), "1", "the row's tokens; -1: none")
        return {
            "weight": Array(
                ("layer", "head", "query", "key"),
                self.weight.copy(),
                "probability",
                "attention in the training step's own forward pass, before dropout",
            ),
            **({"token_id": ids} if self.has_ids else {}),
            "tokens": Array(
                (),
                self.tokens.copy(),
                "tokens",
                "length of the row; 0 if the batch did not have it",
            ),
        }

    def forget_step(self) -> None:
        self._clear(self.weight.shape[-1])

    def _clear(self, tokens: int) -> None:
        shape = (len(self.layers), self.heads, tokens, tokens)
        self.weight: NDArray[np.floating] = np.full(shape, np.nan, dtype=self.dtype)
        self.token_id: NDArray[np.int32] = np.full(tokens, -1, dtype=np.int32)
        self.tokens: NDArray[np.int32] = np.zeros((), dtype=np.int32)
