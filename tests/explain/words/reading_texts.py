"""Small networks that read texts: one whose logits are a known function of its words, and a tiny BERT."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from qa_research.explain.words.reader import Reader, Target
from qa_research.explain.words.result import OUTPUTS
from qa_research.explain.words.text import texts_of
from qa_research.model.tokenizer import off_token
from qa_research.tasks.answering.decode import AnswerSettings
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.trained import TrainedAnswerer
from qa_research.tasks.answering.windows import make_windows
from tests.conftest import CONTEXT

ASKED = "Who teaches chess?"


class Summing(torch.nn.Module):
    """Every start logit is the sum over tokens of the first number of the embedding, every end logit of
    the second; with `pair`, two token ids, both present add `bonus` to the start logits.
    """

    def __init__(self, table, pair=None, bonus=0.0):
        super().__init__()
        self.embeddings = torch.nn.Embedding.from_pretrained(torch.tensor(table), freeze=False)
        self.config = SimpleNamespace(type_vocab_size=2)
        self.pair, self.bonus = pair, bonus
        self.fails = False

    @property
    def device(self):
        return self.embeddings.weight.device

    def get_input_embeddings(self):
        return self.embeddings

    def forward(self, input_ids, attention_mask, token_type_ids):
        if self.fails:
            raise RuntimeError("no memory left")
        found = self.embeddings(input_ids).sum(dim=1)
        ones = torch.ones_like(input_ids, dtype=torch.float32)
        start = found[:, :1] * ones
        if self.pair:
            both = [(input_ids == token).any(dim=1, keepdim=True) for token in self.pair]
            start = start + self.bonus * (both[0] & both[1])
        return SimpleNamespace(start_logits=start, end_logits=found[:, 1:2] * ones)


def table_of(tokenizer, words):
    """[token, row]: all zero but for the words given."""
    table = np.zeros((len(tokenizer), 2), dtype=np.float32)
    for word, (start, end) in words.items():
        (token,) = tokenizer(word, add_special_tokens=False)["input_ids"]
        table[token] = start, end
    return table.tolist()


def text_from(tokenizer, question=ASKED, context=CONTEXT, max_tokens=128, stride=16, index=0):
    row = Question("asked", "", context, question, (), "who")
    windows = make_windows([row], tokenizer, max_tokens, stride)
    return texts_of(row, windows, tokenizer, max_tokens, stride)[index]


def reader_of(network, tokenizer, text=None, span=None, counts_null=False, kept=()):
    """A reader of the span `span` (tokens); without one, of the context's first word."""
    text = text or text_from(tokenizer)
    if span is None:
        first = next(word for word in text.words if word.part == "context")
        span = first.first_token, first.last_token
    units = tuple(number for number in range(len(text.words)) if number not in kept)
    target = Target(*span, 30, counts_null)
    return Reader(network, text, off_token(tokenizer), target, units)


def tiny_bert(tokenizer, seed=0):
    """A random BERT whose logits differ by more than rounding."""
    from transformers import BertConfig, BertForQuestionAnswering

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        initializer_range=0.4,
    )
    return BertForQuestionAnswering(config).eval()


def opened(network, tokenizer, max_tokens=64, stride=16, abstain=False):
    """A network as a run that was opened; with `abstain` it always answers "no answer"."""
    return TrainedAnswerer(
        directory=Path("runs/study/run"),
        checkpoint=Path("checkpoints/best.ckpt"),
        step=7,
        config={"data": {"max_tokens": max_tokens, "stride_tokens": stride}},
        record={},
        name="run",
        results=Path("runs/study/run"),
        is_run=True,
        network=network,
        tokenizer=tokenizer,
        answering=AnswerSettings(30, 20, abstain, -100.0),
    )


def rows_of(values):
    """[output word] of a method's values; NaN for words that stay on."""
    return np.array([getattr(values, output) for output in OUTPUTS], dtype=float)


def hooks_of(network):
    """How many hooks are on a network."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)
