"""Attention of the training step's own forward pass, for one row of its batch."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from qa_research.capture.forward import Anatomy, Forward, Site, attention_weights, chosen_layers
from qa_research.capture.recorders.recorder import Recorder, Subject, numbers
from qa_research.capture.recording.arrays import Array, Coordinate


class BatchAttentionRecorder(Recorder):
    """What the network attended to while it learned, rather than when it was asked: `row` of the batch that
    ended a captured step (the last of an accumulation), by hooks that stand during such steps only.

    Before dropout, in the precision of the training. Another question each time, as the batches come. Nothing
    at step 0, where a batch has fewer rows, and where a training ends early between two planned steps.
    """

    def __init__(
        self,
        row: Annotated[int, Ge(0)],
        layers: list[int] | None,
        dtype: Literal["float16", "float32"],
    ) -> None:
        self.row = row
        self.wanted = layers
        self.dtype = dtype

    def prepare(self, key: str, subject: Subject) -> None:
        if subject.is_compiled:
            raise ValueError(
                f"{key} looks into the training step by hooks, which a compiled network does not call; "
                "set model.compile=false, or take `attention` of the watched questions instead"
            )
        if self.row >= subject.batch_size:
            raise ValueError(
                f"{key}.row={self.row}, but a batch has the rows 0 to {subject.batch_size - 1} "
                "(data.batch_size)"
            )
        anatomy = Anatomy(subject.network)
        self.layers = chosen_layers(f"{key}.layers", self.wanted, anatomy.layers)
        if not self.layers:
            raise ValueError(f"{key}.layers=[] records nothing; null is all layers")
        self.heads = anatomy.heads
        self.batch_sites = tuple(Site(p, layer) for layer in self.layers for p in ("query", "key"))
        self._forget(subject.max_tokens)

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {"layer": Coordinate(("layer",), np.array(self.layers, dtype=np.int32))}

    def after_batch(self, values: Mapping[Site, Tensor], batch: Mapping[str, Tensor]) -> None:
        self.forget_step()
        row = self.row
        if row >= len(batch["input_ids"]):
            return  # an epoch's last batch may be smaller
        mask = batch["attention_mask"][row : row + 1].bool().cpu()
        count = int(mask.sum())
        for i, layer in enumerate(self.layers):
            query, key = (
                values[Site(p, layer)][row : row + 1].float().cpu() for p in ("query", "key")
            )
            weight = attention_weights(query, key, mask, self.heads)[0]
            self.weight[i, :, :count, :count] = numbers(weight[:, :count, :count], self.dtype)
        self.token_id[:count] = batch["input_ids"][row, :count].cpu().numpy()
        self.tokens[...] = count

    def record(self, forward: Forward) -> Mapping[str, Array]:
        return {
            "weight": Array(
                ("layer", "head", "query", "key"),
                self.weight.copy(),
                "probability",
                "attention in the training step's own forward pass, before dropout",
            ),
            "token_id": Array(("token",), self.token_id.copy(), "1", "the row's tokens; -1: none"),
            "tokens": Array(
                (), self.tokens.copy(), "tokens", "length of the row; 0 where the batch had none"
            ),
        }

    def forget_step(self) -> None:
        self._forget(self.weight.shape[-1])

    def _forget(self, tokens: int) -> None:
        shape = (len(self.layers), self.heads, tokens, tokens)
        self.weight: NDArray[np.floating] = np.full(shape, np.nan, dtype=self.dtype)
        self.token_id: NDArray[np.int32] = np.full(tokens, -1, dtype=np.int32)
        self.tokens: NDArray[np.int32] = np.zeros((), dtype=np.int32)
