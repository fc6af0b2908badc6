"""A LightningModule whose network is one of Hugging Face's that reads text, from random or given weights."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.model.adapters import Adapters
from qa_research.model.attention import use_plain_below
from qa_research.model.bert import (
    Architecture,
    Family,
    Purpose,
    build,
    check_sizes,
    in_float32,
    input_names,
)
from qa_research.model.reinit import Top
from qa_research.model.tokenizer import load_tokenizer, trained_wordpiece
from qa_research.model.weights import first_line
from qa_research.tasks.learning import Decay, LearningModule, narrowest


class TextModule(LearningModule):
    """A LearningModule with an unmodified Hugging Face network and its tokenizer.

    Call `tokenizer_of(...)`, then `make_network(...)`, then train. The output layer is always computed in
    float32.
    """

    network: PreTrainedModel

    def __init__(
        self,
        name: str,
        weights: str,
        reinit_top: Top | None,
        pretraining: Literal["self"] | None,
        pretraining_steps: Annotated[int, Ge(1)] | None,
        pretraining_lr: Annotated[float, Gt(0)] | None,
        family: Family,
        tokenizer: str | None,
        vocab_size: Annotated[int, Ge(100), Le(10_000_000)],
        hidden_size: Annotated[int, Ge(1), Le(100_000)] | None,
        num_hidden_layers: Annotated[int, Ge(1), Le(1_000)] | None,
        num_attention_heads: Annotated[int, Ge(1), Le(10_000)] | None,
        intermediate_size: Annotated[int, Ge(1), Le(1_000_000)] | None,
        max_position_embeddings: Annotated[int, Ge(8), Le(1_000_000)] | None,
        dropout: Annotated[float, Ge(0), Lt(1)] | None,
        lr: Annotated[float, Gt(0)],
        weight_decay: Annotated[float, Ge(0)],
        adam_beta1: Annotated[float, Ge(0), Lt(1)],
        adam_beta2: Annotated[float, Ge(0), Lt(1)],
        adam_epsilon: Annotated[float, Gt(0)],
        warmup_fraction: Annotated[float, Ge(0), Lt(1)],
        decay: Decay,
        plain_attention_below: Annotated[int, Ge(0)],
        compile: bool,  # noqa: A002 - the user's word for it
    ) -> None:
        super().__init__(
            lr, weight_decay, adam_beta1, adam_beta2, adam_epsilon, warmup_fraction, decay
        )
        self.name = name
        self.weights = weights
        self.reinit_top: Top | None = reinit_top
        self.family: Family = family
        self.tokenizer_source = tokenizer
        self.vocab_size = vocab_size
        self.architecture = Architecture(
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            intermediate_size,
            max_position_embeddings,
        )
        if weights == "random":
            check_sizes(self.architecture, vocab_size)
            if reinit_top is not None:
                raise ValueError(
                    f"model.reinit_top={reinit_top} draws layers of given weights anew, and all of "
                    "model.weights=random are new: leave it out, or name weights"
                )
        _check_pretraining(pretraining, pretraining_steps, pretraining_lr, reinit_top)
        self.pretraining = pretraining
        self.dropout = dropout
        self.plain_attention_below = plain_attention_below
        self.compiles = compile

    @property
    def narrower(self) -> Mapping[str, int]:
        own = self.architecture
        # Given weights have the width that they were trained with.
        if self.weights != "random" or not (
            own.hidden_size and own.intermediate_size and own.num_attention_heads
        ):
            return {}
        return narrowest(
            own.num_attention_heads,
            hidden_size=own.hidden_size,
            intermediate_size=own.intermediate_size,
        )

    def tokenizer_of(self, texts: Iterable[str], cache: Path) -> Any:
        """The tokenizer: the one named in the config, the weights' own, or one trained on the texts."""
        if self.tokenizer_source is not None:
            self.tokenizer = load_tokenizer(self.tokenizer_source, "model.tokenizer")
        elif self.weights == "random":
            self.tokenizer = trained_wordpiece(texts, self.vocab_size, cache)
        else:
            self.tokenizer = load_tokenizer(self.weights, "model.weights")
        return self.tokenizer

    def make_network(self, purpose: Purpose, seed: int) -> tuple[str, ...]:
        """Make the network; a sentence for all that was loaded or newly initialised."""
        built = build(
            self.weights,
            self.architecture,
            self.dropout,
            len(self.tokenizer),
            seed,
            self.family,
            purpose,
            self.reinit_top,
        )
        self.network = built.network
        self._input_names = input_names(built.network)
        purpose.head(self.network).register_forward_hook(in_float32)
        use_plain_below(self.network, self.plain_attention_below)
        if self.compiles:
            self.network.compile(dynamic=True)
        return built.report

    def add(self, adapters: Adapters, seed: int) -> None:
        adapters.add(self.network, seed)
        self.adapters = adapters

    def reads(self, inputs: dict[str, Tensor], what: str) -> Any:
        """What the network puts out for one example, before anything is slow; `what`: one, in words.

        Raises:
            ValueError: it cannot, as a Longformer whose config knows another [SEP] than the tokenizer.
        """
        self.network.eval()
        try:
            # Not called as a whole, which would compile it.
            with torch.no_grad(), torch.random.fork_rng():
                return self.network.forward(**inputs)
        except Exception as error:
            # Networks are not ours, and raise errors of any kind.
            raise ValueError(
                f"model.weights={self.weights}: the {self.network.config.model_type} network cannot read "
                f"{what}: {first_line(error)}"
            ) from error
        finally:
            self.network.train()

    def inputs_of(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What of a batch the network takes, without labels, indices and the like."""
        return {name: tensor for name, tensor in batch.items() if name in self._input_names}


def _check_pretraining(
    pretraining: str | None, steps: int | None, lr: float | None, reinit_top: Top | None
) -> None:
    """Refuse settings of a pretraining that there is not, and layers that would be drawn anew after one."""
    for key, value in (("pretraining_steps", steps), ("pretraining_lr", lr)):
        if value is not None and pretraining is None:
            raise ValueError(
                f"model.{key}={value:g} is of a pretraining on the task's own texts, and there is none: "
                "model.pretraining=null"
            )
    if pretraining is not None and reinit_top is not None:
        raise ValueError(
            f"model.reinit_top={reinit_top} and model.pretraining={pretraining} exclude each other: leave "
            "out one of them"
        )
