"""The packaged tokenizer without transformers, whose import takes seconds; for looking, not training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.model.weights import PACKAGED, locate

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a call of the tokenizer gives: by name, as transformers calls it, and as encodings."""

    encodings: "list[Encoding]"
    overflow_to_sample_mapping: list[int]

    def __getitem__(self, name: str) -> Any:
        if name == "input_ids":
            return [encoding.ids for encoding in self.encodings]
        return getattr(self, name)


class PackagedTokenizer:
    """BERT's tokenizer from its tokenizer.json; does what `make_windows` asks of one."""

    model_input_names = ("input_ids", "token_type_ids", "attention_mask")

    def __init__(self, backend_tokenizer: "Tokenizer") -> None:
        self.backend_tokenizer = backend_tokenizer

    def num_special_tokens_to_add(self, pair: bool) -> int:
        """Tokens that stand around one text, or around two."""
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
    ) -> Encoded:
        """The texts, or text pairs; cut into windows where overflowing tokens are asked for.

        Encodings have their offsets anyway.
        """
        backend = self.backend_tokenizer
        backend.no_padding()
        backend.no_truncation()
        if truncation:
            backend.enable_truncation(max_length, stride=stride, strategy=truncation)
        inputs: Any = texts if pairs is None else list(zip(texts, pairs, strict=True))
        encodings: list[Encoding] = []
        samples: list[int] = []
        found = backend.encode_batch(inputs, add_special_tokens=add_special_tokens)
        for i, first in enumerate(found):
            windows = [first, *(first.overflowing if return_overflowing_tokens else ())]
            encodings += windows
            samples += [i] * len(windows)
        return Encoded(encodings, samples)


def packaged_tokenizer() -> PackagedTokenizer | None:
    """The tokenizer of the packaged weights, or None where the package is not installed."""
    try:
        folder = Path(locate(PACKAGED, "--tokenizer"))
    except FileNotFoundError:
        return None
    from tokenizers import Tokenizer

    return PackagedTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))
