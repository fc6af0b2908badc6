"""LoRA: a low-rank change of some matrices of a network, learned beside them; peft computes it."""

import copy
import importlib.util
from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Gt, Le, MinLen
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa_research.model.adapters import STRICT, Adapters, Layers, Width

Alpha = Annotated[float, Gt(0), Le(1_000_000)]
Targets = Annotated[list[str], MinLen(1)]


@dataclass(frozen=True, config=STRICT)
class LoraAdapters(Adapters):
    """A matrix W [out, in] of a layer becomes W + alpha / rank * B A, with A [rank, in] and B [out, rank].

    B starts at 0, and so the network as it was. `targets`: the linear modules of a layer that are changed, by
    the ends of their names: `dense` is three of BERT's, `attention.output.dense` is one.

    Source: Hu et al. 2021, LoRA, section 4.1.
    """

    kind: ClassVar[str] = "lora"
    mark: ClassVar[str] = "lora_"

    rank: Width
    alpha: Alpha
    targets: Targets
    layers: Layers

    def check(self, network: nn.Module) -> None:
        if importlib.util.find_spec("peft") is None:
            raise ValueError(
                "finetuning=lora needs peft, which is not installed: pip install 'qa-research[lora]'; "
                "finetuning=bottleneck needs nothing more"
            )
        for name, module in self._changed(network).items():
            narrowest = min(module.in_features, module.out_features)
            if self.rank > narrowest:
                raise ValueError(
                    f"finetuning.rank={self.rank} is more than {narrowest}, the width of {name}; a rank "
                    "that saves parameters is far below it"
                )

    def insert(self, network: PreTrainedModel) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        # By their full names: the end of one, such as `dense`, may also be a module's outside the layers.
        names = list(self._changed(network))
        config = LoraConfig(r=self.rank, lora_alpha=self.alpha, target_modules=names)
        inject_adapter_in_model(config, network)

    def without(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = super().without(tensors)
        return {name.replace(".base_layer.", "."): tensor for name, tensor in own.items()}

    def merged(self, network: PreTrainedModel) -> PreTrainedModel:
        from peft.tuners.lora import LoraLayer

        plain = copy.deepcopy(network)
        for name, module in list(plain.named_modules()):
            if isinstance(module, LoraLayer):
                module.merge()
                plain.set_submodule(name, module.get_base_layer())
        return plain

    def _changed(self, network: nn.Module) -> dict[str, nn.Linear]:
        """The modules that are changed, by their names in the network.

        Raises:
            ValueError: the layers have none of these.
        """
        found: dict[str, nn.Linear] = {}
        unused, known = set(self.targets), []
        for layer, module in self.of_layers(network).items():
            for name, inner in module.named_modules():
                if not isinstance(inner, nn.Linear):
                    continue
                known.append(name)
                ends = {t for t in self.targets if name == t or name.endswith(f".{t}")}
                unused -= ends
                if ends:
                    found[f"{layer}.{name}"] = inner
        if unused:
            raise ValueError(
                f"finetuning.targets has {sorted(unused)[0]}, and a layer of this network has no linear "
                f"module whose name ends so; it has {', '.join(dict.fromkeys(known))}"
            )
        return found
