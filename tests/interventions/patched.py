"""Minimal pairs about four words, and a network that tells them apart by one head, which is known."""

from itertools import permutations

import torch
from transformers import BertConfig, BertForQuestionAnswering

from qa_research.interventions.patching.pairs import Pair, PairBatch, Side, token_groups
from qa_research.tasks.answering.decode import AnswerSettings
from qa_research.tasks.answering.watched import watched_windows
from tests.conftest import make_question

SETTINGS = AnswerSettings(8, 5, False, 0.0)
WORDS = ("chess", "judo", "pottery", "rowing")
# Units of the planted network: one for each word, whether a token is in the question, whether it was matched.
IN_QUESTION, MATCHED = len(WORDS), len(WORDS) + 1
WIDTH, HEADS, LAYERS = 64, 4, 2


def asked(number, word, order):
    """Which of four words of a text is the one that the question names?"""
    return make_question(number, f"Who teaches {word}?", word, " ".join(order) + ".")


def batch_of(tokenizer, twos, unrelated=()):
    """Questions, two by two, as a batch; `unrelated`: lists of as many questions as there are pairs."""

    def read(rows):
        return watched_windows([("asked", row) for row in rows], tokenizer, 64, 16, SETTINGS)

    clean, corrupted = (read([two[side] for two in twos]) for side in (0, 1))
    pairs = tuple(
        Pair(Side(two[0], one), Side(two[1], other))
        for two, one, other in zip(twos, clean.examples, corrupted.examples, strict=True)
    )
    others = tuple(read(rows) for rows in unrelated)
    return PairBatch(pairs, clean, corrupted, others, token_groups(clean, corrupted))


def pairs_about_words(tokenizer, count=12):
    """Pairs about texts of the same words in different orders, each with two unrelated texts."""
    orders = list(permutations(WORDS))
    twos = [(asked(n, o[0], o), asked(100 + n, o[2], o)) for n, o in enumerate(orders[:count])]
    unrelated = [
        [asked(200 + 50 * times + n, orders[-1 - n][times], orders[-1 - n]) for n in range(count)]
        for times in (1, 3)
    ]
    return batch_of(tokenizer, twos, unrelated)


def planted(tokenizer, seed):
    """A BERT of random weights whose head (layer, head) alone compares words; and which that is.

    A word of the text attends to itself, unless the question has the same word: then to that one, which
    carries over that it is in the question.
    """
    torch.manual_seed(seed)
    layer, head = divmod(int(torch.randint(LAYERS * HEADS, ())), HEADS)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=64,
        initializer_range=0.05,
    )
    network = BertForQuestionAnswering(config).eval()
    attention = network.bert.encoder.layer[layer].attention
    size = WIDTH // HEADS
    own = slice(head * size, (head + 1) * size)
    first = head * size
    with torch.no_grad():
        embeddings = network.bert.embeddings
        words = torch.randn(len(tokenizer), WIDTH) / WIDTH**0.5
        words[:, : MATCHED + 1] = 0
        for number, word in enumerate(WORDS):
            words[tokenizer.convert_tokens_to_ids(word)] = torch.eye(WIDTH)[number]
        embeddings.word_embeddings.weight.copy_(words)
        embeddings.token_type_embeddings.weight.zero_()[0, IN_QUESTION] = 1.0
        for part in (attention.self.query, attention.self.key, attention.self.value):
            part.weight[own] = 0.0
        attention.output.dense.weight[:, own] = 0.0
        for number in range(len(WORDS)):
            attention.self.query.weight[first + number, number] = 1.0
            attention.self.key.weight[first + number, number] = 1.0
        attention.self.query.bias[first + IN_QUESTION] = 7.0
        attention.self.key.weight[first + IN_QUESTION, IN_QUESTION] = 1.0
        attention.self.value.weight[first, IN_QUESTION] = 1.0
        attention.output.dense.weight[MATCHED, first] = 1.5
        network.qa_outputs.weight.zero_()
        network.qa_outputs.weight[:, MATCHED] = 2.0
        network.qa_outputs.weight[:, IN_QUESTION] = -3.0
    return network, (layer, head)
