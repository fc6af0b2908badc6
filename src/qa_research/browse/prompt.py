"""The prompt of `qa-research squad`: one question after the other, until the user quits."""

import contextlib
import signal
from collections.abc import Callable

from qa_research.browse.show import show_hits, show_question
from qa_research.browse.view import Browser
from qa_research.signals import Stopped
from qa_research.text import print_line, print_note

HELP = """\
n or Enter   the next question          p              the previous one
r            a random one               NUMBER or ID   that one
/TEXT        search question, context and answers, ignoring case (also: s TEXT)
m            more hits                  h              this help
q            quit (also Ctrl-D, Ctrl-C)
n and p go by index, even after a search; enter a hit's index to see it."""
_LAST, _FIRST = "this is the last question", "this is the first question"


class Prompt:
    """Where the user is, and what each word they enter does."""

    def __init__(self, browser: Browser, limit: int) -> None:
        self.browser = browser
        self.limit = limit
        self.index = 0
        self._wanted = ""
        self._hits: list[int] = []
        self._shown = 0

    def run(self, ask: Callable[[str], str] = input) -> None:
        """Ask for a word and do what it says, until q, Ctrl-D or Ctrl-C."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (gives `input` a history and arrow keys)
        catalogue = self.browser.catalogue
        print_line(
            f"{catalogue.source.name}: {len(catalogue):,} questions. h for help, q to quit.\n"
        )
        try:
            self._do("0")
            while (word := ask(f"\n{self.index}> ").strip()) not in ("q", "quit", "exit"):
                self._do(word)
        except (EOFError, KeyboardInterrupt):
            print_line()
        except Stopped as stopped:
            # Here Ctrl-C is a way to quit.
            if stopped.number != signal.SIGINT:
                raise
            print_line()

    def _do(self, word: str) -> None:
        try:
            if word.startswith(("/", "s ")) or word == "s":
                self._search(word[1:].strip())
            elif word == "m":
                self._more()
            elif word in ("h", "?", "help"):
                print_line(HELP)
            else:
                self._show(self._index_of(word))
        except (ValueError, OSError) as error:
            print_note(error)

    def _index_of(self, word: str) -> int:
        catalogue = self.browser.catalogue
        if word in ("", "n"):
            return self._neighbour(1, _LAST)
        if word == "p":
            return self._neighbour(-1, _FIRST)
        if word == "r":
            return self.browser.random_index()
        if word.isdecimal() and int(word) < len(catalogue):
            return int(word)
        try:
            return catalogue.indices_of(word)[0]
        except ValueError as error:
            if word.isdecimal():
                catalogue.question(int(word))  # names the range
            raise ValueError(f"{error}; h for help") from error

    def _neighbour(self, step: int, at_the_end: str) -> int:
        if not 0 <= self.index + step < len(self.browser.catalogue):
            raise ValueError(at_the_end)
        return self.index + step

    def _show(self, index: int) -> None:
        show_question(self.browser.view(index))
        self.index = index

    def _search(self, wanted: str) -> None:
        self._hits = self.browser.catalogue.search(wanted)
        self._wanted, self._shown = wanted, 0
        if not self._hits:
            raise ValueError(f"no question contains {wanted!r}")
        self._more()

    def _more(self) -> None:
        first, part = self._shown, self._hits[self._shown : self._shown + self.limit]
        if not part:
            raise ValueError("there are no more hits" if self._hits else "search first: /TEXT")
        self._shown += len(part)
        more = "m shows more, " if self._shown < len(self._hits) else ""
        hits = self.browser.hits(part, self._wanted, None)
        show_hits(hits, first, len(self._hits), f"{more}a number shows one")
