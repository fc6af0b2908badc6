"""Networks of two layers of every known kind, with dropout and in training mode, and watched questions."""

from collections.abc import Callable

import pytest
import torch
from jaxtyping import install_import_hook
from transformers import AutoConfig, AutoModelForQuestionAnswering, PreTrainedModel

from qa_research.tasks.answering.decode import AnswerSettings

install_import_hook("qa_research.capture.forward", "beartype.beartype")

from qa_research.capture.recorders.recorder import Subject  # noqa: E402
from qa_research.tasks.answering.watched import WatchedQuestions, watched_windows  # noqa: E402
from qa_research.tasks.watching import Watching  # noqa: E402

SETTINGS = AnswerSettings(8, 5, False, 0.0)

# The networks that normalise each sum, as BERT does, and all.
POST_NORM = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")
KINDS = (*POST_NORM, "modernbert")


def make_network(kind: str, vocab_size: int, **extra: object) -> PreTrainedModel:
    """Two layers of two heads, 16 wide; weights large enough that attention is far from uniform."""
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 130}
    sizes |= {"hidden_size": 16, "vocab_size": vocab_size, "initializer_range": 0.5}
    if kind == "modernbert":
        # The first layer sees all tokens, the second three to each side.
        sizes |= {"intermediate_size": 32, "local_attention": 6, "pad_token_id": 0}
        sizes |= dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"))
    if kind == "electra":
        # ELECTRA may have embeddings narrower than its layers.
        sizes["embedding_size"] = 8
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = AutoModelForQuestionAnswering.from_config(
            AutoConfig.for_model(kind, **sizes), **extra
        )
        with torch.no_grad():
            # Biases and normalisations start at 0 and 1, which would hide mistakes.
            for parameter in network.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn_like(parameter))
    return network.train()


@pytest.fixture
def network(tokenizer) -> PreTrainedModel:
    return make_network("bert", len(tokenizer))


@pytest.fixture
def watched(questions, tokenizer) -> WatchedQuestions:
    """Four questions, in windows of different lengths."""
    rows = [("train", row) for row in questions[:2] + questions[4:6]]
    return watched_windows(rows, tokenizer, 64, 16, SETTINGS)


@pytest.fixture
def subject(watched) -> Callable[[PreTrainedModel], Subject]:
    def make(network: PreTrainedModel) -> Subject:
        return Subject(network, Watching(watched, 64, 8, is_compiled=False), is_scaled=False)

    return make
