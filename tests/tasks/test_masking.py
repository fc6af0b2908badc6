"""Which words are hidden and how: as many as asked for, and the same ones whenever they are drawn again."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM, BertTokenizer

from qa_research.model.some_tokens import OnlySome
from qa_research.streams import stream
from qa_research.tasks.masking import Masking, hidden, masking_of
from qa_research.tasks.unlabelled import Piece, PieceBatches, Text, pieces_of
from tests.model.test_layers import CONFIGS

MASK = 4
WORDS = np.arange(5, 1_000)
MASKING = Masking(0.15, MASK, WORDS)
IDS = np.concatenate([[2], np.arange(100, 140), [3]])
PLACES = np.arange(1, 41)


@pytest.fixture(scope="module")
def wordpiece():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    return BertTokenizer(vocab={word: place for place, word in enumerate(words)})


def _draws(count):
    return [MASKING.of(IDS, PLACES, stream(0, "masks", number)) for number in range(count)]


def test_of_forty_tokens_six_are_to_be_told_and_no_special_one_ever_is():
    for _, told in _draws(200):
        assert len(told) == 6 and len(set(told.tolist())) == 6
        assert told.min() >= 1 and told.max() <= 40


def test_eight_of_ten_are_hidden_one_is_another_word_and_one_stays():
    fates = np.concatenate([
        np.select([ids[told] == MASK, ids[told] != IDS[told]], [0, 1], 2)
        for ids, told in _draws(2_000)
    ])  # fmt: skip
    shares = np.bincount(fates, minlength=3) / len(fates)
    # Of 12,000: a standard error of 0.4 points and less.
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.015)


def test_what_is_not_to_be_told_stays_and_another_word_is_an_ordinary_one():
    for ids, told in _draws(200):
        others = np.setdiff1d(np.arange(len(IDS)), told)
        assert (ids[others] == IDS[others]).all()
        assert np.isin(ids[told], [MASK, *WORDS]).all()


def test_every_place_is_told_equally_often():
    counts = np.zeros(len(IDS))
    for _, told in _draws(2_000):
        counts[told] += 1
    assert counts[PLACES].min() > 220 and counts[PLACES].max() < 380  # 300 +- 5 standard errors


def test_a_single_word_is_always_to_be_told():
    assert MASKING.of(np.array([2, 9, 3]), np.array([1]), stream(0, "masks"))[1].tolist() == [1]


def _batch(wordpiece, texts, drawn_by, numbers=None):
    pieces = pieces_of([Text(text, False) for text in texts], wordpiece, 16, "train")
    numbers = list(range(len(pieces))) if numbers is None else numbers
    batch = PieceBatches(pieces, 0).__getitems__(numbers)
    return hidden(batch, pieces, masking_of(wordpiece, 0.3, "it"), drawn_by)


def test_masks_are_a_function_of_seed_epoch_and_text_whatever_the_batch(wordpiece):
    texts = ["a b c d e f g h", "h g f e d c b a", "a a b b c c d d"]
    whole = _batch(wordpiece, texts, (1, "masks", 3))
    alone = _batch(wordpiece, texts, (1, "masks", 3), [2])
    assert torch.equal(whole["input_ids"][2:], alone["input_ids"])
    assert torch.equal(whole["hidden"][2:], alone["hidden"])
    for other in ((2, "masks", 3), (1, "masks", 4)):
        assert not torch.equal(_batch(wordpiece, texts, other)["hidden"], whole["hidden"])


def test_what_is_to_be_told_is_what_stood_there(wordpiece):
    batch = _batch(wordpiece, ["a b c d", "e f"], (1, "masks", 0))
    plain = [[2, 5, 6, 7, 8, 3], [2, 9, 10, 3, 0, 0]]
    assert batch["told"].tolist() == torch.tensor(plain)[batch["hidden"]].tolist()
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]


def test_a_longer_text_is_cut_and_nothing_of_it_is_lost(wordpiece):
    letters = "a b c d e f g h " * 5
    pieces = pieces_of([Text("a", True), Text(letters, False)], wordpiece, 16, "train")
    assert [piece.id for piece in pieces] == ["train-0", "train-1", "train-1.1", "train-1.2"]
    assert [piece.group for piece in pieces] == [0, 1, 1, 1]
    told = [int(i) for piece in pieces[1:] for i in piece.ids[piece.places]]
    assert told == [*range(5, 13)] * 5
    assert pieces[2].text == "g h a b c d e f g h a b c d"


def test_a_text_that_spells_a_special_token_is_text(wordpiece):
    (piece,) = pieces_of([Text("a [MASK] b", False)], wordpiece, 16, "train")
    assert MASK not in piece.ids


def test_texts_without_a_token_are_refused(wordpiece):
    with pytest.raises(ValueError, match="there is no text in the train data whose words could be"):
        pieces_of([Text("  ", False)], wordpiece, 16, "train")


def test_a_tokenizer_without_a_mask_token_is_refused(wordpiece):
    class Nothing:
        mask_token_id = None

    with pytest.raises(ValueError, match=r"^the tokenizer x has no mask token such as \[MASK\]"):
        masking_of(Nothing(), 0.15, "the tokenizer x")
    # Neither special tokens nor padding ever stand for a word.
    assert masking_of(wordpiece, 0.15, "it").words.tolist() == [*range(5, 13)]


@pytest.mark.parametrize("kind", CONFIGS)
def test_scores_of_hidden_words_alone_are_those_of_the_whole_network(kind):
    torch.manual_seed(0)
    network = AutoModelForMaskedLM.from_config(CONFIGS[kind]).eval()
    ids = torch.randint(5, 60, (3, 12))
    which = torch.rand(3, 12) < 0.3
    labels = torch.where(which, ids, -100)
    whole = network(input_ids=ids, labels=labels)
    only = OnlySome(network)
    only.which = which
    logits = network(input_ids=ids).logits
    assert torch.allclose(logits, whole.logits[which], atol=1e-6)
    # Hugging Face's own loss.
    assert nn.functional.cross_entropy(logits, ids[which]).item() == pytest.approx(
        whole.loss.item()
    )
    only.remove()
    assert torch.equal(network(input_ids=ids).logits, whole.logits)


def test_pieces_hold_plain_values_for_the_workers_of_a_loader():
    piece = Piece("train-0", 0, 0, "a", False, np.array([2, 5, 3]), np.array([1]))
    batch = PieceBatches([piece], 0).__getitems__([0])
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[2, 5, 3]],
        "attention_mask": [[1, 1, 1]],
        "example": [0],
    }
