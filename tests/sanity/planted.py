"""Faults that people wire into trainings, each as they would write it: classes for a config's `_target_`.

A fault that a task of any kind can have is a class of its own; below, each is joined to the classes of tasks.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from qa_research.tasks.answering.data import FileData, QuestionData
from qa_research.tasks.answering.module import QuestionAnswering
from qa_research.tasks.paraphrase.data import BuiltinPairs
from qa_research.tasks.paraphrase.module import PairClassifier
from qa_research.tasks.regression import Transformer
from qa_research.tasks.sequences.data import MotifData

Batch = dict[str, Tensor]
LABELS = ("start_positions", "end_positions", "label")
MASKS = ("attention_mask", "mask")


class Changed(torch.utils.data.Dataset):
    """Batches of a dataset, changed."""

    def __init__(self, batches: Any, change: Callable[[Batch], Batch]) -> None:
        self.batches, self.change = batches, change

    def __len__(self) -> int:
        return len(self.batches)

    def __getitems__(self, places: list[int]) -> Batch:
        return self.change(self.batches.__getitems__(places))


class ChangedData:
    """Data whose batches are changed."""

    def change(self, batch: Batch) -> Batch:
        raise NotImplementedError

    def batches_of(self, split: str) -> Changed:
        return Changed(super().batches_of(split), self.change)


class ShuffledLabels(ChangedData):
    """Labels are in another order than inputs."""

    def change(self, batch):
        return batch | {key: batch[key].roll(1, 0) for key in LABELS if key in batch}


class MaskOfOnes(ChangedData):
    """Batches say that padding is text."""

    def change(self, batch):
        return batch | {key: torch.ones_like(batch[key]) for key in MASKS if key in batch}


class SwappedTypes(ChangedData):
    """The first text has the token type of the second, and the other way round."""

    def change(self, batch):
        return batch | {"token_type_ids": 1 - batch["token_type_ids"]}


class OtherTokenizer(ChangedData):
    """Batches are made with a tokenizer that is not the network's: the same pieces in another order."""

    def change(self, batch):
        ids = batch["input_ids"]
        # [PAD], [UNK], [CLS], [SEP] and [MASK] keep their places, as in most vocabularies.
        other = 5 + (ids - 5 + 40) % 200
        return batch | {"input_ids": torch.where(ids < 5, ids, other)}


class UnevenMotifs(MotifData):
    """Sequences of 41 to 60 letters, as those of files have several lengths: no fault."""

    def read(self):
        return {
            split: [
                replace(row, letters=row.letters[: 60 - place % 20])
                for place, row in enumerate(rows)
            ]
            for split, rows in super().read().items()
        }


class LabelsOffByOne(ChangedData, FileData):
    """The answer is labelled one token too far to the right."""

    def change(self, batch):
        return batch | {key: batch[key] + 1 for key in ("start_positions", "end_positions")}


class OtherLetters(ChangedData, UnevenMotifs):
    """Units stand for the letters in another order: t, g, c, a."""

    def change(self, batch):
        return batch | {"vectors": batch["vectors"].flip(2)}


class FlippedLabels(ChangedData, BuiltinPairs):
    """The labels of the file are taken for their opposites."""

    def change(self, batch):
        return batch | {"label": 1 - batch["label"]}


class ValidationIsTraining:
    """Both splits are read from one place, with ids of their own."""

    def load(self) -> None:
        super().load()
        self.validation = [replace(row, id=f"v-{row.id}") for row in self.train[:40]]
        if isinstance(self, QuestionData):
            self.choosing = frozenset(row.id for row in self.validation[:5])
        else:
            self.groups = list(range(40))
            self.parts = [("choosing", "temperature", "scored")[place % 3] for place in range(40)]


class ChangedNetwork:
    """A module with its network changed once it is made."""

    def build(self, *arguments):
        report = super().build(*arguments)
        self.change(self.network)
        return report

    def change(self, network: nn.Module) -> None:
        raise NotImplementedError


def first_layer(network: nn.Module) -> nn.Module:
    """What makes vectors of tokens or letters."""
    return network.bert.embeddings if hasattr(network, "bert") else network.projection


def last_layer(network: nn.Module) -> nn.Module:
    return list(network.children())[-1]


class DropoutInEval(ChangedNetwork):
    """functional.dropout drops in eval mode, too, unless it is told."""

    def change(self, network):
        first_layer(network).register_forward_hook(
            lambda module, inputs, output: nn.functional.dropout(output, 0.1)
        )


class BatchLeak(ChangedNetwork):
    """Vectors are normalised over the batch."""

    def change(self, network):
        first_layer(network).register_forward_hook(
            lambda module, inputs, output: output - output.mean(0, keepdim=True)
        )


class FrozenHead(ChangedNetwork):
    """The wrong half is frozen."""

    def change(self, network):
        last_layer(network).requires_grad_(False)


class HeadLeftOut:
    """The optimizer is made of the body's parameters only."""

    def parameter_groups(self, shares):
        body = list(self.network.children())[:-1]
        parameters = [parameter for part in body for parameter in part.parameters()]
        return [{"params": parameters, "weight_decay": 0.0}], [lambda step: 1.0]


class NoLearningRate:
    """The schedule is always 0."""

    def configure_optimizers(self):
        return torch.optim.AdamW(self.network.parameters(), lr=0.0)


class LossUpwards:
    """The sign of the loss is wrong."""

    def training_step(self, batch, batch_idx):
        return -super().training_step(batch, batch_idx)


class LossOfSums:
    """Losses are summed over the batch."""

    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) * len(next(iter(batch.values())))


class WithoutInput:
    """A module of texts whose network does not get `dropped`."""

    dropped: str

    def inputs_of(self, batch):
        return {k: v for k, v in super().inputs_of(batch).items() if k != self.dropped}


class MaskIgnored(WithoutInput):
    """The mask never reaches the network."""

    dropped = "attention_mask"


class TypesIgnored(WithoutInput):
    """Token types never reach the network."""

    dropped = "token_type_ids"


class InputsIgnored:
    """The network reads the same tokens, whatever is asked."""

    def inputs_of(self, batch):
        inputs = super().inputs_of(batch)
        return inputs | {"input_ids": torch.full_like(inputs["input_ids"], 7)}


class WidthIgnored(QuestionAnswering):
    """The network is as wide as it was when somebody tried it first."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"hidden_size": 32, "intermediate_size": 64})


class DetachedBody(ChangedNetwork, QuestionAnswering):
    """Only the output layer learns, as nothing goes back through it; no setting is known to be its width."""

    narrower: ClassVar[Mapping[str, int]] = {}

    def change(self, network):
        network.bert.register_forward_hook(
            lambda module, inputs, output: type(output)(
                last_hidden_state=output.last_hidden_state.detach()
            )
        )


class ChangedNumber(Transformer):
    """A network whose `number` gets other inputs."""

    def other(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def make(self):
        network = super().make()
        number = network.number
        network.number = lambda vectors, mask: number(*self.other(vectors, mask))
        return network


class NumberWithoutMask(ChangedNumber):
    """The mask never reaches the network."""

    def other(self, vectors, mask):
        return vectors, torch.ones_like(mask)


class NumberWithoutInputs(ChangedNumber):
    """The network reads nothing, whatever the sequence is."""

    def other(self, vectors, mask):
        return torch.zeros_like(vectors), mask


def joined(fault: type, base: type) -> type:
    """The class of a task with a fault, under a name of this module such as `ShuffledLabelsOfMotifData`."""
    name = f"{fault.__name__}Of{base.__name__}"
    return type(name, (fault, base), {"__module__": __name__, "__doc__": fault.__doc__})


OF_DATA = (ShuffledLabels, MaskOfOnes, SwappedTypes, OtherTokenizer, ValidationIsTraining)
OF_MODULES = (
    *(DropoutInEval, BatchLeak, FrozenHead, HeadLeftOut, NoLearningRate, LossUpwards, LossOfSums),
    *(MaskIgnored, TypesIgnored, InputsIgnored),
)
for _faults, _bases in (
    (OF_DATA, (FileData, BuiltinPairs, UnevenMotifs)),
    (OF_MODULES, (QuestionAnswering, PairClassifier, Transformer)),
):
    for _fault in _faults:
        for _base in _bases:
            _class = joined(_fault, _base)
            globals()[_class.__name__] = _class
