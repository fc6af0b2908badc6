"""One window as text: its tokens, what each belongs to, and which characters of the context it covers.

No tensors here, so that recordings, films and pages can use it without importing torch; `Windows` holds
many windows as arrays, and `Windows.text` makes one of these.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Part = Literal["cls", "question", "sep", "context"]


@dataclass(frozen=True, slots=True)
class TokenText:
    """The tokens of one window of a question and its context.

    By token: its text in the vocabulary's spelling (`tokens`), what it belongs to (`parts`), and the
    characters of the context that it covers (`chars`, the end exclusive; (0, 0) outside the context). A
    span is its first and last token, inclusive; (0, 0), the [CLS] token, is "no answer".

    Example: `context` "Ann sings." in the window [CLS] who sings ? [SEP] ann sing ##s . [SEP]
        chars            (0,0) (0,0) (0,0) (0,0) (0,0) (0,3) (4,8) (8,9) (9,10) (0,0)
        text(6, 7)       "sings"
        span_of(4, 9)    (6, 7); span_of(5, 9) is None: no token starts at character 5
        context_chars    (0, 10)
    """

    context: str
    tokens: tuple[str, ...]
    parts: tuple[Part, ...]
    chars: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def context_tokens(self) -> list[int]:
        """The tokens that belong to the context, by number."""
        return [token for token, part in enumerate(self.parts) if part == "context"]

    @property
    def context_chars(self) -> tuple[int, int]:
        """The characters of the context that the window covers; (0, 0) if it covers none."""
        inside = self.context_tokens
        return (self.chars[inside[0]][0], self.chars[inside[-1]][1]) if inside else (0, 0)

    def text(self, first: int, last: int) -> str:
        """The characters of the context from token `first` to `last`; empty for "no answer"."""
        return self.context[self.chars[first][0] : self.chars[last][1]]

    def span_of(self, char_start: int, char_end: int) -> tuple[int, int] | None:
        """The span of tokens that covers exactly these characters, or None.

        Tokens without characters, such as RoBERTa's for a blank, are not the end of a span.
        """
        covering = [
            (token, *chars) for token, chars in enumerate(self.chars) if chars[0] < chars[1]
        ]
        firsts = [token for token, start, _ in covering if start == char_start]
        lasts = [token for token, _, end in covering if end == char_end]
        if not firsts or not lasts or firsts[0] > lasts[-1]:
            return None
        return firsts[0], lasts[-1]

    def context_pieces(self) -> list[tuple[str, int | None]]:
        """The whole context in pieces, each with its token; None for characters outside all tokens."""
        inside = self.context_tokens
        found = pieces(self.context, [self.chars[token] for token in inside])
        return [(text, None if number is None else inside[number]) for text, number in found]


def pieces(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[str, int | None]]:
    """`text` split at spans of its characters; the texts of all pieces joined are `text`.

    Each piece has the number of its span, or None where it lies between, before or after them. The
    spans are in order. Where two overlap, as byte-level tokens of one character do, the characters
    belong to the first.

    >>> pieces("a bcd!", [(0, 1), (2, 4), (3, 5)])
    [('a', 0), (' ', None), ('bc', 1), ('d', 2), ('!', None)]
    """
    found: list[tuple[str, int | None]] = []
    reached = 0
    for number, (start, end) in enumerate(spans):
        if start > reached:
            found.append((text[reached:start], None))
        found.append((text[max(reached, start) : end], number))
        reached = max(reached, end)
    if reached < len(text):
        found.append((text[reached:], None))
    return found
