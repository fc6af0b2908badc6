"""A question-answering network that was trained elsewhere: loaded whole from its directory, or refused."""

from pathlib import Path

import torch
from transformers import AutoModelForQuestionAnswering, PretrainedConfig, PreTrainedModel

from qa_research.model.bert import KNOWN_TYPES, head_of, read_config, skeleton
from qa_research.model.folder import tensor_names, weights_file, without_head
from qa_research.model.weights import first_line, without_code


def ready_network(directory: Path, typed: str) -> PreTrainedModel:
    """The network of a directory that `check_model` let through, in float32 and in evaluation mode.

    `typed`: what the user calls it. Nothing is newly initialised, and no code that comes with it is run: a
    pickle of weights is read by torch's restricted unpickler.

    Raises:
        ValueError: it is not made for question answering, or its weights are damaged, incomplete, not finite
            or those of another network.
    """
    config = read_config("RUN", str(directory))
    path = weights_file(directory)
    assert path is not None
    _check_head(config, path, typed)
    try:
        network, found = without_code(
            AutoModelForQuestionAnswering.from_pretrained,
            "RUN",
            str(directory),
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            use_safetensors="safetensors" in path.name,
            weights_only=True,
            local_files_only=True,
        )
    except RuntimeError as error:
        raise ValueError(
            f"the weights of {typed} do not fit its config.json: {_reason(error)}"
        ) from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    missing = sorted(found["missing_keys"])
    if missing and missing[0].startswith(_head_name(network)):
        raise ValueError(without_head(typed, _made(config)))
    if missing:
        raise ValueError(
            f"{typed} is incomplete: its weights lack {missing[0]}, one of {len(missing)} that its "
            "config.json asks for"
        )
    _check_works(network, typed)
    return network


def _check_head(config: PretrainedConfig, path: Path, typed: str) -> None:
    """Refuse, before any weights are read, a network without a layer for starts and ends."""
    if type(config) not in AutoModelForQuestionAnswering._model_mapping:
        raise ValueError(
            f"{typed} is a {_made(config)} of the type {config.model_type!r}, which has no "
            f"question-answering model; these do: {KNOWN_TYPES}"
        )
    try:
        name = _head_name(skeleton(config))
    except ValueError as error:
        raise ValueError(f"{typed}: {error}") from error
    except Exception as error:
        # What transformers raises depends on which of its many values is wrong.
        raise ValueError(
            f"{path.parent / 'config.json'} does not describe a network: {first_line(error)}"
        ) from error
    names = tensor_names(path)
    if names is not None and f"{name}.weight" not in names:
        raise ValueError(without_head(typed, _made(config)))


def _head_name(network: PreTrainedModel) -> str:
    head = head_of(network)
    names: list[str] = [name for name, module in network.named_modules() if module is head]
    return names[0]


def _made(config: PretrainedConfig) -> str:
    """What its config.json says a network is, such as BertModel."""
    return str((config.architectures or [f"network of the type {config.model_type}"])[0])


def _check_works(network: PreTrainedModel, typed: str) -> None:
    """Let it read two tokens, as some settings are only used then.

    Raises:
        ValueError: it cannot, or its weights are not finite.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{typed} has weights that are not finite in {name}")
    try:
        with torch.inference_mode():
            network.eval()(input_ids=torch.full((1, 2), 3))
    except Exception as error:
        raise ValueError(f"{typed} cannot read two tokens: {first_line(error)}") from error


def _reason(error: RuntimeError) -> str:
    """The line of torch's long message that names a tensor."""
    lines = [
        line.strip()
        for line in str(error).splitlines()
        if "size mismatch" in line or "Size" in line
    ]
    return (lines or [first_line(error)])[0][:200]
