"""Tokenizers: that of given weights, a named one, or a WordPiece trained on texts.

`packaged_tokenizer` is for browsing: it needs no transformers, whose import takes seconds.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from qa_research.caches import made_once
from qa_research.model.weights import HUB_ERRORS, PACKAGED, locate, not_fetched, without_code

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer
    from torch import Tensor


log = logging.getLogger(__name__)
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOKENIZER_FILES = "tokenizer.json with tokenizer_config.json"


def load_tokenizer(source: str, key: str) -> Any:
    """The fast tokenizer of a hub id, a directory or `package:NAME/PATH`.

    `key` is what the user calls it, such as `model.tokenizer`.

    Raises:
        FileNotFoundError: it does not exist or cannot be fetched.
        ValueError: it is damaged, has no vocabulary, does not report the characters that a token covers,
            has no padding token, or does not start windows with [CLS].
    """
    place = locate(source, key)
    if place == source and not Path(place).is_dir():
        log.info("Asking the hub for %s (offline, this takes half a minute to fail)", source)
    try:
        tokenizer = without_code(_working_tokenizer, key, source, file=TOKENIZER_FILES)
    except HUB_ERRORS as error:
        raise not_fetched(source, key, error) from error
    if not tokenizer.is_fast:
        raise ValueError(
            f"{key}={source} has only a slow tokenizer, which does not report where in the text a "
            "token is; a fast one has a tokenizer.json"
        )
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        # transformers makes such a one of a tokenizer.json without a vocabulary.
        raise ValueError(
            f"{key}={source} has a tokenizer without a vocabulary: it knows special tokens only"
        )
    if tokenizer.pad_token_id is None or tokenizer("a", "b").input_ids[0] != tokenizer.cls_token_id:
        raise ValueError(
            f"{key}={source}: its windows do not start with a [CLS] token, or it has no padding token; "
            "tokenizers of BERT's family have both (bert, distilbert, roberta, electra, ...)"
        )
    return tokenizer


def _working_tokenizer(place: str, **options: Any) -> Any:
    """A tokenizer that has shown that it can make a window: some of its settings are only used then."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place, **options)
    if tokenizer.is_fast:
        tokenizer("a", "b")
        tokenizer("a", "b", max_length=8, truncation=True)
    return tokenizer


def trained_wordpiece(texts: Iterable[str], vocab_size: int, cache: Path) -> Any:
    """A lower-casing BERT tokenizer whose vocabulary is learned from these texts only.

    Read from `cache` if one was trained on the same texts before. `vocab_size` is an upper bound.
    Source: Schuster & Nakajima 2012, WordPiece, as the library `tokenizers` trains it.
    """
    from transformers import BertTokenizer

    # Sorted and without repeats: the same set of texts has the same tokenizer, in whatever order.
    distinct = sorted(set(texts))
    digest = hashlib.sha256(str(vocab_size).encode())
    for text in distinct:
        digest.update(text.encode() + b"\0")
    path = cache / f"wordpiece-{digest.hexdigest()[:16]}.vocabulary"

    def make(file: IO[bytes]) -> None:
        log.info("Training a WordPiece tokenizer on %d texts", len(distinct))
        file.write("\n".join(_train(distinct, vocab_size)).encode())

    size = made_once(path, "vocabulary", make)
    words = path.read_bytes()[:size].decode().split("\n")
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)})


def _train(texts: list[str], vocab_size: int) -> list[str]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Left to itself the trainer numbers the letters inside words (##a, ##b, ...) in the order of a hash
    # table, which differs from process to process, and breaks ties between merges by these numbers. Given
    # in alphabetical order as special tokens, they make the vocabulary the same everywhere.
    words = {
        word
        for text in texts
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.normalizer.normalize_str(text)
        )
    }
    inner = [f"##{letter}" for letter in sorted({letter for word in words for letter in word[1:]})]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=[*SPECIAL_TOKENS, *inner], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def encode_windows(
    tokenizer: Any,
    questions: Sequence[str],
    contexts: Sequence[str],
    max_tokens: int,
    stride_tokens: int,
) -> Any:
    """Each question with its context as windows: a Hugging Face `BatchEncoding`, or our `Encoded`.

    Text that spells a special token, such as "[SEP]", is tokenized as text; see also `text_ids`.
    """
    encoded = tokenizer(
        questions,
        contexts,
        truncation="only_second",
        max_length=max_tokens,
        stride=stride_tokens,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        split_special_tokens=True,
    )
    forget_settings(tokenizer)
    return encoded


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs of texts as token ids; `types`: which text each token is of, if the tokenizer says so.

    `cut`: how many pairs were longer than allowed, and lost the end of the longer text. `encodings`: as the
    tokenizer made them, with the characters of each token.
    """

    ids: list[list[int]]
    types: list[list[int]] | None
    lengths: "NDArray[np.int64]"
    cut: int
    encodings: "list[Encoding]"

    def padded(self, places: Sequence[int], pad_token_id: int) -> "dict[str, Tensor]":
        """Those at `places`, padded on the right to the longest of them, each int64 [pair token].

        Keys: `input_ids`, `attention_mask` and, if there are any, `token_type_ids`.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        ids = [torch.tensor(self.ids[place]) for place in places]
        found = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_token_id),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        }
        if self.types is not None:
            types = [torch.tensor(self.types[place]) for place in places]
            found["token_type_ids"] = pad_sequence(types, batch_first=True)
        return found


def encode_pairs(
    tokenizer: Any, firsts: Sequence[str], seconds: Sequence[str], max_tokens: int
) -> EncodedPairs:
    """Each first text with its second one as at most `max_tokens` tokens, [CLS] and [SEP] included.

    Text that spells a special token, such as "[SEP]", is tokenized as text.
    """
    encoded = tokenizer(
        list(firsts),
        list(seconds),
        truncation="longest_first",
        max_length=max_tokens,
        split_special_tokens=True,
        return_token_type_ids="token_type_ids" in tokenizer.model_input_names,
    )
    forget_settings(tokenizer)
    ids = [text_ids(encoding, tokenizer).tolist() for encoding in encoded.encodings]
    return EncodedPairs(
        ids,
        encoded.get("token_type_ids"),
        np.array([len(row) for row in ids], dtype=np.int64),
        sum(bool(encoding.overflowing) for encoding in encoded.encodings),
        encoded.encodings,
    )


def text_ids(encoding: "Encoding", tokenizer: Any) -> "NDArray[np.int32]":
    """The ids of a window, in which no token of the text is a special one.

    Special tokens are pieces of a Unigram's vocabulary like any other, so it finds "</s>" in a text even if
    it is told not to look for special tokens; such a token becomes the unknown one.
    """
    ids = np.array(encoding.ids, dtype=np.int32)
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    unknown = getattr(tokenizer, "unk_token_id", None)
    special = [i for i, token in added.items() if token.special and i != unknown]
    suspects = np.flatnonzero(np.isin(ids, special))
    sequences = encoding.sequence_ids
    wrong = [i for i in suspects if sequences[i] is not None]
    if wrong and unknown is not None:
        ids[wrong] = unknown
    return ids


def count_tokens(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """The length of each text in tokens, without special ones."""
    encoded = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)
    return [len(ids) for ids in encoded["input_ids"]]


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """A sha256 of all that decides which tokens a text has."""
    forget_settings(tokenizer)
    text = f"{tokenizer.backend_tokenizer.to_str()} {tokenizer.model_input_names}"
    return hashlib.sha256(text.encode()).hexdigest()


def forget_settings(tokenizer: Any) -> None:
    """Remove what a call has left in a tokenizer, which would save it as its own: truncation and padding."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a call of `PackagedTokenizer` returns: the part of transformers' `BatchEncoding` that we use."""

    encodings: "list[Encoding]"
    overflow_to_sample_mapping: list[int]

    def __getitem__(self, name: str) -> Any:
        if name == "input_ids":
            return [encoding.ids for encoding in self.encodings]
        return getattr(self, name)


class PackagedTokenizer:
    """BERT's tokenizer from its tokenizer.json, with the interface that `make_windows` needs."""

    model_input_names = ("input_ids", "token_type_ids", "attention_mask")

    def __init__(self, backend_tokenizer: "Tokenizer") -> None:
        self.backend_tokenizer = backend_tokenizer
        names = ("[CLS]", "[SEP]", "[UNK]")
        ids = (backend_tokenizer.token_to_id(name) for name in names)
        self.cls_token_id, self.sep_token_id, self.unk_token_id = ids

    def num_special_tokens_to_add(self, pair: bool) -> int:
        """How many special tokens are added to one text, or to a pair."""
        return int(self.backend_tokenizer.num_special_tokens_to_add(pair))

    def __call__(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        add_special_tokens: bool = True,
        truncation: str | None = None,
        max_length: int = 0,
        stride: int = 0,
        return_overflowing_tokens: bool = False,
        return_offsets_mapping: bool = True,
        split_special_tokens: bool = False,
    ) -> Encoded:
        """Tokenize texts or pairs of texts; with `return_overflowing_tokens` into several windows each.

        `return_offsets_mapping` changes nothing: encodings always have their offsets.
        """
        backend = self.backend_tokenizer
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = split_special_tokens
        if truncation:
            backend.enable_truncation(max_length, stride=stride, strategy=truncation)
        inputs: Any = texts if pairs is None else list(zip(texts, pairs, strict=True))
        encodings: list[Encoding] = []
        samples: list[int] = []
        encoded = backend.encode_batch(inputs, add_special_tokens=add_special_tokens)
        for sample, encoding in enumerate(encoded):
            windows = [encoding, *(encoding.overflowing if return_overflowing_tokens else ())]
            encodings += windows
            samples += [sample] * len(windows)
        return Encoded(encodings, samples)


def packaged_tokenizer() -> PackagedTokenizer | None:
    """The tokenizer of the packaged weights, or None if the package is not installed."""
    try:
        folder = Path(locate(PACKAGED, "--tokenizer"))
    except FileNotFoundError:
        return None
    from tokenizers import Tokenizer

    return PackagedTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))


def words_of(tokenizer: Any, text: str) -> list[str]:
    """The words of a text, in which a tokenizer then looks for the pieces of its vocabulary.

    They are spelled as it normalises them: BERT's are in lower case, and a mark is a word of its own; those
    of a byte-level tokenizer begin with the sign that stands for a blank.
    """
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    if backend.pre_tokenizer is None:
        return [text] if text else []
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]


@dataclass(frozen=True, slots=True)
class Off:
    """The token that replaces each token of a word that is switched off, so that positions stay.

    `note`: a sentence where the tokenizer has no mask token.
    """

    token_id: int
    token: str
    note: str | None


def off_token(tokenizer: Any) -> Off:
    """The tokenizer's mask token; without one its unknown token, else its padding token.

    Raises:
        ValueError: it has none of the three.
    """
    for name, kind in (("mask_token", "mask"), ("unk_token", "unknown"), ("pad_token", "padding")):
        token = getattr(tokenizer, name, None)
        if token is None:
            continue
        note = f"The tokenizer has no mask token: {token}, its {kind} token, replaces words that are off."
        return Off(
            token_id=int(getattr(tokenizer, f"{name}_id")),
            token=str(token),
            note=None if name == "mask_token" else note,
        )
    raise ValueError("the tokenizer has no mask, unknown or padding token to replace a word with")
