"""A network that reads text and its tokenizer, as a run's directory keeps them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.files import written_folder
from qa_research.model.bert import Purpose, stored
from qa_research.model.tokenizer import load_tokenizer
from qa_research.model.tracing import write_architecture
from qa_research.model.weights import check_files, write_sums


def write_network(directory: Path, network: PreTrainedModel, tokenizer: Any) -> None:
    """Write config, tokenizer and architecture into a run's directory; its weights are in checkpoints."""
    with written_folder(directory / "model", replace=True) as new:
        network.config.save_pretrained(new)
        tokenizer.save_pretrained(new)
        write_sums(new)
    write_architecture(directory, network)


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
    network = stored(model, weights, name, purpose)
    tokenizer = load_tokenizer(str(model), "model")
    known = network.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        raise ValueError(
            f"{model / 'tokenizer.json'} has {len(tokenizer)} pieces, and the network has embeddings for "
            f"{known}"
        )
    return network.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer
