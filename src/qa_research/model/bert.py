"""Building an unmodified Hugging Face network for a purpose, and the report of what was built."""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BertConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from qa_research.console import readable_size
from qa_research.model.adapters import Adapters, with_adapters
from qa_research.model.reinit import Top, drawn_anew, reinitialise, told
from qa_research.model.weights import (
    HUB_ERRORS,
    OFFLINE_CHOICES,
    first_line,
    not_fetched,
    without_code,
)

# Positions that a model reserves, by its type: RoBERTa counts positions from 2.
RESERVED_POSITIONS = {"roberta": 2, "xlm-roberta": 2, "camembert": 2}
DROPOUT_KEYS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "qa_dropout",
    "embedding_dropout",
    "mlp_dropout",
    "classifier_dropout",
)
CONFIG_JSON = "config.json"
KNOWN_TYPES = "bert, distilbert, roberta, electra, modernbert, ..."
Family = Literal["bert", "modernbert"]
# What makes a network of random weights; the padding token of tokenizers trained here is 0.
FAMILIES: dict[Family, tuple[type[PretrainedConfig], dict[str, Any]]] = {
    "bert": (BertConfig, {}),
    "modernbert": (
        ModernBertConfig,
        {"pad_token_id": 0}
        | dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),
    ),
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a BERT; None means "as in the weights"."""

    hidden_size: int | None
    num_hidden_layers: int | None
    num_attention_heads: int | None
    intermediate_size: int | None
    max_position_embeddings: int | None


def head_of(network: PreTrainedModel) -> nn.Linear:
    """The output layer: of the start and the end score of each token, or of two labels of the whole input.

    It is the one linear layer with two outputs outside the network's body, whatever it is called: BERT's
    is `qa_outputs` or `classifier`.

    Raises:
        ValueError: there is none, or several.
    """
    body = f"{network.base_model_prefix}."
    found = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == 2 and not name.startswith(body)
    ]
    if len(found) != 1:
        raise ValueError(
            f"a network of the type {network.config.model_type} has {len(found) or 'no'} linear layers that "
            f"put out two scores, and exactly one is needed; {KNOWN_TYPES} have it"
        )
    return found[0]


def decoder_of(network: PreTrainedModel) -> nn.Linear:
    """The output layer of masked language modelling: of a score for each piece of the vocabulary.

    Raises:
        ValueError: there is none.
    """
    found = network.get_output_embeddings()
    if not isinstance(found, nn.Linear):
        raise ValueError(
            f"a network of the type {network.config.model_type} has no linear layer of a score for each "
            f"piece of its vocabulary; {KNOWN_TYPES} have it"
        )
    return found


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a network is for: transformers' class of such networks, and what messages call one.

    `config`: keys that its config has, whatever that of given weights says. `head`: finds its output layer.
    """

    auto: Any
    name: str
    config: Mapping[str, Any]
    head: Callable[[PreTrainedModel], nn.Linear] = head_of

    def has(self, config: PretrainedConfig) -> bool:
        """Whether there is such a network of this type."""
        return type(config) in self.auto._model_mapping

    def network_class(self, config: type[PretrainedConfig]) -> Callable[..., PreTrainedModel]:
        """transformers' own class, such as BertForQuestionAnswering."""
        found: Callable[..., PreTrainedModel] = self.auto._model_mapping[config]
        return found


QUESTIONS = Purpose(AutoModelForQuestionAnswering, "question-answering", {})
# A head with a logit for each of two labels, whatever `labels` its weights' config has.
TWO_LABELS = Purpose(
    AutoModelForSequenceClassification, "sequence-classification", {"num_labels": 2}
)
MASKED_WORDS = Purpose(AutoModelForMaskedLM, "masked-language", {}, decoder_of)


@dataclass(frozen=True, slots=True)
class Built:
    """A network, and one sentence each on what was loaded, newly initialised and left unused."""

    network: PreTrainedModel
    report: tuple[str, ...]


def build(
    weights: str,
    architecture: Architecture,
    dropout: float | None,
    vocab_size: int,
    seed: int,
    family: Family = "bert",
    purpose: Purpose = QUESTIONS,
    reinit_top: Top | None = None,
) -> Built:
    """A network in float32 and in training mode, from random or given weights; by default for questions.

    New parameters are drawn under `torch.manual_seed(seed)`, so that `seed=42` yields the same weights as
    `set_seed(42)` followed by Hugging Face's own constructor. The global generator is left unchanged.
    `vocab_size` is the tokenizer's. `family`: of random weights; given ones bring their own. `reinit_top`: so
    many of the top layers of given weights are drawn anew. What the weights lack, such as the output layer,
    is the same with and without it.

    Raises:
        FileNotFoundError: the weights do not exist or cannot be fetched.
        ValueError: they do not fit architecture or tokenizer, or have fewer layers; sizes are missing.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if weights == "random":
            built = _random(architecture, dropout, vocab_size, family, purpose)
        else:
            built = _loaded(weights, architecture, dropout, vocab_size, purpose, reinit_top)
    # `from_pretrained` returns a network in eval mode, and Lightning would leave it there, without dropout.
    built.network.train()
    return built


def stored(
    directory: Path,
    weights: Mapping[str, Tensor],
    name: str,
    purpose: Purpose = QUESTIONS,
    adapters: Adapters | None = None,
) -> PreTrainedModel:
    """The network in float32 and in evaluation mode that a run's `model/` describes, with these weights.

    `name`: what the weights are called in an error. `adapters`: what was added to it. Nothing large is
    allocated before both fit each other.

    Raises:
        ValueError: its config.json does not describe a network, the weights are those of another one, or
            the adapters cannot be added to it.
    """
    config = read_config("model", str(directory))
    path = directory / CONFIG_JSON
    if (layers := getattr(config, "num_hidden_layers", 0)) > len(weights):
        raise ValueError(
            f"{name} does not fit the network of {path}: it has {len(weights)} tensors in all for "
            f"num_hidden_layers={layers}"
        )
    with _described_by(path, purpose):
        bare = skeleton(config, purpose)
    try:
        with_adapters(bare, adapters)
    except ValueError as error:
        raise ValueError(f"what was added to the network of {path} cannot be: {error}") from error
    wanted = {key: tensor.shape for key, tensor in bare.state_dict().items()}
    found = {key: tensor.shape for key, tensor in weights.items()}
    if difference := _first_difference(wanted, found):
        raise ValueError(f"{name} does not fit the network of {path}: {difference}")
    with _described_by(path, purpose):
        return _working_network(config, weights, purpose, adapters)


@contextmanager
def _described_by(path: Path, purpose: Purpose) -> Iterator[None]:
    """What transformers raises, as a sentence on the config.json that it was given.

    Raises:
        ValueError: that.
    """
    try:
        yield
    except Exception as error:
        # What it raises depends on which of its many values is wrong.
        raise ValueError(
            f"{path} does not describe a {purpose.name} network: {first_line(error)}"
        ) from error


def read_config(key: str, source: str) -> PretrainedConfig:
    """The config.json of `source`, which the user calls `key`.

    Raises:
        ValueError: it cannot be read, or needs code that comes from elsewhere.
        OSError: it is missing, or cannot be fetched.
    """
    config: PretrainedConfig = without_code(
        AutoConfig.from_pretrained, key, source, file=CONFIG_JSON
    )
    attention = config._attn_implementation
    if isinstance(attention, str) and "/" in attention:
        # transformers would fetch it if the package `kernels` is installed.
        raise ValueError(
            f"{key}={source} asks for attention by code from the hub, {attention}, and code that comes with "
            f"weights is never run; remove attn_implementation from its {CONFIG_JSON}"
        )
    return config


def _working_network(
    config: PretrainedConfig,
    weights: Mapping[str, Tensor],
    purpose: Purpose,
    adapters: Adapters | None,
) -> PreTrainedModel:
    """A network in evaluation mode that has read two tokens: some settings are only used then."""
    network: PreTrainedModel = purpose.auto.from_config(
        config, dtype=torch.float32, trust_remote_code=False
    )
    with_adapters(network, adapters)
    network.load_state_dict(weights)
    purpose.head(network)
    with torch.inference_mode():
        network.eval()(input_ids=torch.zeros(1, 2, dtype=torch.long))
    return network


def without_memory(network: PreTrainedModel, adapters: Adapters | None = None) -> PreTrainedModel:
    """Another network of the same class, config and adapters, as `skeleton` makes one."""
    with torch.random.fork_rng(), torch.device("meta"):
        bare: PreTrainedModel = type(network)._from_config(network.config)
        return with_adapters(bare, adapters)


def skeleton(config: PretrainedConfig, purpose: Purpose = QUESTIONS) -> PreTrainedModel:
    """A network without memory for its weights, which is made in no time and shows their names and shapes."""
    with torch.random.fork_rng(), torch.device("meta"):
        network: PreTrainedModel = purpose.auto.from_config(config, trust_remote_code=False)
        return network


def _first_difference(
    wanted: Mapping[str, torch.Size], found: Mapping[str, torch.Size]
) -> str | None:
    """The first tensor that only one of two networks has, or has in another shape."""
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        if wanted.get(key) != found.get(key):
            shapes = [list(side[key]) if key in side else "none" for side in (wanted, found)]
            return f"{key} is {shapes[0]} there and {shapes[1]} in the weights"
    return None


def longest_window(config: PretrainedConfig) -> int | None:
    """The most tokens that a model of this config can read at once; None: as many as memory holds.

    A model without a table of positions says so by -1 (XLNet) or by no such key (T5).
    """
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 1:
        return None
    return int(positions) - RESERVED_POSITIONS.get(config.model_type, 0)


def check_window(network: PreTrainedModel, max_tokens: int) -> None:
    """Refuse to give a network more tokens at once than it can read.

    Raises:
        ValueError: `max_tokens`, the key of the data, is more.
    """
    limit = longest_window(network.config)
    if limit is not None and max_tokens > limit:
        raise ValueError(
            f"data.max_tokens={max_tokens} is more than the {limit} tokens that this model can read at once"
        )


def in_float32(head: nn.Linear, inputs: tuple[Tensor], scores: Tensor) -> Tensor | None:
    """The scores of the output layer computed outside autocast, in place of those computed within.

    A bfloat16 has 8 significant bits, so scores around 10 are multiples of 1/16, and the two best spans of
    a window often have equal ones.
    """
    device = scores.device.type
    if not torch.is_autocast_enabled(device):
        return None
    with torch.autocast(device, enabled=False):
        return nn.functional.linear(inputs[0].float(), head.weight, head.bias)


def input_names(network: torch.nn.Module) -> frozenset[str]:
    """The inputs that the network accepts; without token types if it has none, or only one."""
    names = frozenset(inspect.signature(network.forward).parameters)
    types = getattr(getattr(network, "config", None), "type_vocab_size", 2)
    return names if types > 1 else names - {"token_type_ids"}


def types_argument(network: torch.nn.Module) -> str | None:
    """What the network calls token types; None if it tells no two of them apart."""
    return "token_type_ids" if "token_type_ids" in input_names(network) else None


def count_parameters(network: torch.nn.Module) -> int:
    """How many parameters are trained."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def check_sizes(architecture: Architecture, vocab_size: int) -> None:
    """Refuse sizes that random weights cannot have, or whose network does not fit in this machine's memory.

    Example: 2 layers 128 wide with 512 inside, 1,000 tokens and 512 positions: 128 x 1,512 embeddings and
    2 x (4 x 128 x 128 + 2 x 128 x 512) weights in the layers, 0.6 million, 2.3 MB in float32.

    Raises:
        ValueError: a size is missing, the heads do not divide the width, or the network is too large.
    """
    sizes = asdict(architecture)
    for key, value in sizes.items():
        if value is None:
            raise ValueError(f"model.{key} must be given with model.weights=random, got null")
    hidden, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    if hidden % heads:
        raise ValueError(
            f"model.hidden_size={hidden} must be a multiple of model.num_attention_heads={heads}"
        )
    layer = 4 * hidden**2 + 2 * hidden * sizes["intermediate_size"]
    embeddings = hidden * (vocab_size + sizes["max_position_embeddings"])
    needed, present = 4 * (embeddings + layer * sizes["num_hidden_layers"]), _memory()
    if present is not None and needed > present:
        raise ValueError(
            f"model.hidden_size={hidden} with model.num_hidden_layers={sizes['num_hidden_layers']} and "
            f"model.vocab_size={vocab_size} are weights of {readable_size(needed)}, and this machine has "
            f"{readable_size(present)} of memory"
        )


def _memory() -> int | None:
    """The bytes of memory that this machine has; None where the system does not tell."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PAGE_SIZE" not in names or "SC_PHYS_PAGES" not in names:
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _random(
    architecture: Architecture,
    dropout: float | None,
    vocab_size: int,
    family: Family,
    purpose: Purpose,
) -> Built:
    check_sizes(architecture, vocab_size)
    sizes = asdict(architecture)
    make_config, extra = FAMILIES[family]
    dropouts = _dropouts(make_config(), dropout)
    config = make_config(vocab_size=vocab_size, **sizes, **dropouts, **extra, **purpose.config)
    network = purpose.network_class(make_config)(config)
    return Built(network, (f"Newly initialised: all {count_parameters(network):,} parameters.",))


def _loaded(
    weights: str,
    architecture: Architecture,
    dropout: float | None,
    vocab_size: int,
    purpose: Purpose,
    reinit_top: Top | None,
) -> Built:
    try:
        config = read_config("model.weights", weights)
    except HUB_ERRORS as error:
        raise not_fetched(weights, "model.weights", error) from error
    for key, value in purpose.config.items():
        setattr(config, key, value)
    bare = _checked_skeleton(weights, config, architecture, vocab_size, purpose)
    top = drawn_anew(bare, reinit_top, weights) if reinit_top else frozenset()
    for key, value in _dropouts(config, dropout).items():
        setattr(config, key, value)
    try:
        network, info = without_code(
            purpose.auto.from_pretrained,
            "model.weights",
            weights,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except HUB_ERRORS as error:
        raise not_fetched(weights, "model.weights", error) from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"model.weights={weights} do not fit their own config.json: {reason}"
        ) from error
    # What the weights lack has been drawn already.
    anew = top - set(info["missing_keys"])
    report = _loading_report(weights, network, info, len(anew))
    if reinit_top:
        reinitialise(network, anew)
        report += (told(anew, reinit_top, network.config.num_hidden_layers),)
    return Built(network, report)


def _checked_skeleton(
    weights: str,
    config: PretrainedConfig,
    architecture: Architecture,
    vocab_size: int,
    purpose: Purpose,
) -> PreTrainedModel:
    """The network of given weights without memory, once they are known to fit what is asked for."""
    for key, wanted in asdict(architecture).items():
        found = getattr(config, key, None)
        if wanted is not None and found is not None and wanted != found:
            raise ValueError(
                f"model.weights={weights} do not fit the architecture: model.{key}={wanted}, but "
                f"the weights have {found}; model=as_weights takes the sizes from the weights"
            )
    if vocab_size > config.vocab_size:
        raise ValueError(
            f"the tokenizer has {vocab_size} pieces, but model.weights={weights} have embeddings for "
            f"{config.vocab_size}; model.tokenizer=null uses the tokenizer of the weights"
        )
    if not purpose.has(config):
        raise ValueError(
            f"model.weights={weights} are of the type {config.model_type!r}, which has no "
            f"{purpose.name} model; these do: {KNOWN_TYPES} "
            f"(offline: {OFFLINE_CHOICES})"
        )
    bare = skeleton(config, purpose)
    try:
        purpose.head(bare)
    except ValueError as error:
        raise ValueError(f"model.weights={weights}: {error}") from error
    return bare


def _loading_report(
    weights: str, network: PreTrainedModel, info: Any, anew: int
) -> tuple[str, ...]:
    """What became of the tensors of a file of weights; `anew`: so many that it has are drawn anew."""
    missing, unused = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    total = len(network.state_dict())
    lines = [f"Loaded: {total - len(missing) - anew} of {total} tensors from {weights}."]
    if missing:
        lines.append(f"Newly initialised: {modules_of(missing)}.")
    if unused:
        lines.append(f"Left unused: {modules_of(unused)}.")
    return tuple(lines)


def modules_of(keys: list[str]) -> str:
    """The modules that tensors belong to, the first four by name.

    Example: the keys qa_outputs.bias and qa_outputs.weight become "qa_outputs (bias, weight)".
    """
    grouped: dict[str, list[str]] = {}
    for key in keys:
        module, _, leaf = key.rpartition(".")
        grouped.setdefault(module, []).append(leaf)
    shown = [f"{module} ({', '.join(sorted(leaves))})" for module, leaves in grouped.items()]
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more modules" if len(shown) > 4 else "")


def _dropouts(config: PretrainedConfig, dropout: float | None) -> dict[str, float]:
    if dropout is None:
        return {}
    # BERT has a `classifier_dropout` for other tasks, which is None.
    return {key: dropout for key in DROPOUT_KEYS if getattr(config, key, None) is not None}
