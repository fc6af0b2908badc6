"""A network that reads text and its tokenizer, as a run's directory keeps them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.config import first_fault
from qa_research.files import read_json, write_text, written_folder
from qa_research.model.adapters import Adapters
from qa_research.model.bert import Purpose, stored
from qa_research.model.bottleneck import BottleneckAdapters
from qa_research.model.lora import LoraAdapters
from qa_research.model.pals import PalAdapters
from qa_research.model.tokenizer import load_tokenizer
from qa_research.model.tracing import write_architecture
from qa_research.model.weights import check_files, write_sums

# In a run's `model/`: what was added to the network, and is in its weights; not there if nothing was.
ADAPTERS = "adapters.json"
KINDS: dict[str, type[Adapters]] = {
    kind.kind: kind for kind in (LoraAdapters, BottleneckAdapters, PalAdapters)
}


def write_network(
    directory: Path, network: PreTrainedModel, tokenizer: Any, adapters: Adapters | None
) -> None:
    """Write config, tokenizer and architecture into a run's directory; its weights are in checkpoints.

    `adapters`: what was added to the network.
    """
    with written_folder(directory / "model", replace=True) as new:
        network.config.save_pretrained(new)
        tokenizer.save_pretrained(new)
        if adapters is not None:
            write_text(
                new / ADAPTERS, json.dumps({"kind": adapters.kind} | vars(adapters), indent=1)
            )
        write_sums(new)
    write_architecture(directory, network, adapters)


def read_adapters(directory: Path) -> Adapters | None:
    """What a run's `model/` says was added to its network; None: nothing.

    Raises:
        ValueError: the file is damaged.
    """
    path = directory / ADAPTERS
    if not path.is_file():
        return None
    settings = read_json(path)
    kind = settings.pop("kind", None) if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"{path} does not say which kind of adapters it describes, one of {', '.join(KINDS)}; restore it"
        )
    try:
        return KINDS[kind](**settings)
    except ValidationError as error:
        raise ValueError(f"{path} {first_fault(error)}; restore it") from error


def read_network(
    directory: Path, weights: Mapping[str, Tensor], name: str, purpose: Purpose
) -> tuple[PreTrainedModel, Any]:
    """The network with these weights, in eval mode and on a GPU if there is one, and its tokenizer.

    `name`: what the weights are called in an error.

    Raises:
        ValueError: the weights or the tokenizer do not fit the network, or a file is damaged.
    """
    model = directory / "model"
    check_files(model)
    network = stored(model, weights, name, purpose, read_adapters(model))
    tokenizer = load_tokenizer(str(model), "model")
    known = network.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        raise ValueError(
            f"{model / 'tokenizer.json'} has {len(tokenizer)} pieces, and the network has embeddings for "
            f"{known}"
        )
    return network.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer
