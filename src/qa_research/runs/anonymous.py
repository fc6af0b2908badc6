"""What a run's texts say of a person or a machine, replaced: paths, users, hosts and secrets.

Used for everything that leaves the machine. Texts of the data, such as questions, are not touched.
"""

import getpass
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from html import escape
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from qa_research.runs.places import absolute

HOME, USER, HOST, SECRET, ELSEWHERE = "HOME", "USER", "HOST", "SECRET", "elsewhere"
MEANINGS = {
    HOME: "a home directory",
    USER: "a user's name",
    HOST: "a host's name",
    SECRET: "a value of the environment that is secret",
    f"{ELSEWHERE}-N": "the N-th folder outside the project, which is the folder of paths.runs",
}
# A path from the root: `/a/b`, `~/a`, `C:\a`, `\\host\a`, after a scheme or not. Not `val/f1`, `+/-`, `//`.
_SEGMENT = r"[^\s/\\'\"`,;:()\[\]{}<>|*?=&]+"
_PATH = re.compile(
    r"(?<![\w.~/\\)\]%-])(?:[A-Za-z][\w+.-]+:/{2,3}(?=/))?"
    rf"(~[\w.-]*(?:/{_SEGMENT})+/?|/(?=[\w.$%@~](?:[\w.$%@~]|/[\w.])){_SEGMENT}(?:/{_SEGMENT})*/?"
    rf"|[A-Za-z]:[\\/]+(?:{_SEGMENT}[\\/]*)*|\\\\{_SEGMENT}(?:\\+{_SEGMENT})*)"
)
_IS_PATH = re.compile(r"~[\w.-]*/|/(?=[\w.$%@~ ])|[A-Za-z]:[\\/]|\\\\")
# What a text has that is more than one path.
_ANOTHER = re.compile(r"\n|://|\s(?:~[\w.-]*/|/\w|[A-Za-z]:[\\/])")
_URL = re.compile(r"\b([A-Za-z][\w+.-]+://)(?:[^\s/@'\"]*@)?([^\s/:@?#'\"<>),\]]+)")
# Machines that everybody knows, so that a log stays readable.
_PUBLIC = re.compile(
    r"(?:[\w-]+\.)*(?:huggingface\.co|hf\.co|github\.com|pytorch\.org|wandb\.ai|pypi\.org|arxiv\.org|"
    r"python\.org|readthedocs\.io|lightning\.ai|w3\.org|localhost)|127\.0\.0\.1|HOST"
)
_LOGIN = re.compile(r"[\w.-]+@[\w.-]+(?=:[/~])")
_HOMES = re.compile(r"(?<![\w.])(?:/home|/Users|[A-Za-z]:\\+Users)[/\\]+([^/\\\s'\"<>&]+)")
_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
# Users whose names are words of this lab, or tell nothing.
_NOBODY = {
    *("root", "user", "home", "data", "runs", "model", "models", "cache", "bert"),
    *("train", "val", "validation", "choosing", "test"),
}
_LIBRARIES = re.compile(r".*[/\\]((?:site|dist)-packages[/\\].*)")


class Anonymous:
    """Replaces, always by the same, what a run's texts say of a person or a machine.

    A path inside the project, which is the folder of `paths.runs`, becomes relative to it; of any other only
    the last name stays, behind the number of its folder. What is relative already stays.

    With runs in /home/lee/lab/runs: `data.train_path=/home/lee/lab/a.json` becomes `data.train_path=a.json`,
    `/home/lee/b.json` becomes `elsewhere-1/b.json`, `/mnt/x/c.json` becomes `elsewhere-2/c.json`.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any], texts: str) -> None:
        """`directory` and `config` of a run; `texts`: what its files say, in which homes are looked for."""
        self._projects: list[PurePath] = []
        self._runs: list[PurePath] = []
        runs: Any = config.get("paths", {}).get("runs")
        named = [absolute(runs)] if isinstance(runs, str) else []
        here = Path(absolute(str(directory))).parent.parent
        for runs_folder in dict.fromkeys([*map(Path, named), here, here.resolve()]):
            self._runs.append(runs_folder)
            if _is_a_project(runs_folder.parent):
                self._projects.append(runs_folder.parent)
        self._folders: dict[str, int] = {}
        self._found: dict[str, str] = {}
        self.users = _users(texts)
        self._secrets = _secrets()
        self._host = socket.gethostname()
        for folder in self._runs:
            self._found[str(folder)] = self._place(str(folder))

    def look_for_users(self, texts: str) -> None:
        """From now on also replace the users whose homes these texts name."""
        self.users = sorted({*self.users, *_users(texts)})

    def value(self, value: Any) -> Any:
        """A value of JSON in which every text is replaced."""
        if isinstance(value, dict):
            return {self.text(key): self.value(content) for key, content in value.items()}
        if isinstance(value, list):
            return [self.value(part) for part in value]
        return self._whole(value) if isinstance(value, str) else value

    def _whole(self, text: str) -> str:
        """A text that may be one path, which may have blanks: `/a b/c`, or as an override `key=/a b/c`."""
        before, equals, path = text.partition("=")
        if not (equals and re.fullmatch(r"[\w.+~-]+", before)):
            before, equals, path = "", "", text
        if _IS_PATH.match(path) and not _ANOTHER.search(path):
            self._found[path] = replaced = self._place(path)
            return self.text(before) + equals + replaced
        return self.text(text)

    def text(self, text: str) -> str:
        """A text of our own, such as a log, in which everything is replaced."""
        if not re.search(r"[/\\]", text) and not any(secret in text for secret in self._secrets):
            return text
        text = self._with_known_replaced(text)
        text = _URL.sub(_without_host, text)
        text = _LOGIN.sub(f"{USER}@{HOST}", text)
        text = _PATH.sub(self._matched, text)
        return self._without_users(_HOMES.sub(HOME, text))

    def log(self, text: str) -> str:
        """`text` without this machine's name either, which may be a word of a text that is no log."""
        if len(self._host) > 2 and self._host != "localhost":
            text = re.sub(rf"(?<![\w-]){re.escape(self._host)}(?![\w-])", HOST, text)
        return self.text(text)

    def known(self, text: str) -> str:
        """A page or a picture in which paths that were found elsewhere, homes and secrets are replaced."""
        return _HOMES.sub(HOME, self._with_known_replaced(text))

    def is_told(self, text: str) -> bool:
        """Whether a text that cannot be changed, such as that of a PDF, says any of it, blanks aside."""
        text = "".join(text.split())
        return bool(_HOMES.search(text)) or any(
            "".join(one.split()) in text for one in self._spellings()
        )

    def _spellings(self) -> dict[str, str]:
        """What is known, as it may be spelled in a page, with its replacement."""
        found = dict.fromkeys(self._secrets, SECRET)
        inside = {f"{project}{os.sep}": "" for project in self._projects}
        for path, replacement in (self._found | inside).items():
            for spelled in (path, escape(path), quote(path), json.dumps(path)[1:-1]):
                found[spelled] = replacement
        return found

    def _with_known_replaced(self, text: str) -> str:
        """The longest first; not as a part of another path, and whole names alone."""
        known = self._spellings()
        spelled = sorted(known, key=lambda one: (-len(one), one))
        alternatives = "|".join(re.escape(one) for one in spelled)
        # In JSON a line break is \\n, whose n is no letter of a path.
        pattern = rf"(?:(?<![\w.~])|(?<=\\n)|(?<=\\t))(?:{alternatives})(?:(?<=[/\\])|(?![\w-]))"
        return re.sub(pattern, lambda match: known[match[0]], text)

    def _matched(self, match: re.Match[str]) -> str:
        path = match[1].rstrip(".")
        self._found[path] = replaced = self._place(path)
        return replaced + match[1][len(path) :]

    def _place(self, path: str) -> str:
        """What stands for one path from a root."""
        if _HOMES.fullmatch(path.rstrip("/\\")) or path.rstrip("/") in ("/root", "~"):
            return HOME
        is_windows = "\\" in path or bool(re.match(r"[A-Za-z]:", path))
        if is_windows:
            pure: PurePath = PureWindowsPath(path)
        else:
            # `~lee/a` is of somebody whom this machine may not know.
            pure = Path(path if re.match(r"~[^/]", path) else absolute(path))
        for folder in self._projects:
            if pure.is_relative_to(folder):
                return self._without_users(pure.relative_to(folder).as_posix())
        for folder in self._runs:
            if pure.is_relative_to(folder):
                return self._without_users((Path("runs") / pure.relative_to(folder)).as_posix())
        if library := _LIBRARIES.fullmatch(path):
            return library[1].replace("\\", "/")
        number = self._folders.setdefault(str(pure.parent), len(self._folders) + 1)
        return self._without_users(f"{ELSEWHERE}-{number}/{pure.name}".rstrip("/"))

    def _without_users(self, text: str) -> str:
        """A text in which no folder is called as a user is."""
        for user in self.users:
            name = re.escape(user)
            text = re.sub(rf"(?<![\w.-]){name}(?=[/\\])|(?<=[/\\]){name}(?![\w.-])", USER, text)
        return text


def _is_a_project(folder: Path) -> bool:
    """Whether paths relative to a folder tell nothing of a machine: not `/`, `/data`, a folder of homes."""
    homes = Path.home()
    return len(folder.parts) > 2 and (folder == homes or not homes.is_relative_to(folder))


def _users(texts: str) -> list[str]:
    """The names of users: of this process, and of homes that are named in `texts`."""
    names = {found[1] for found in _HOMES.finditer(texts)} | {Path.home().name}
    # A container may run as a number that has no name.
    with suppress(OSError, KeyError):
        names.add(getpass.getuser())
    return sorted(name for name in names if len(name) > 2 and name.lower() not in _NOBODY)


def _secrets() -> list[str]:
    return sorted(_values_of_secrets(), key=lambda value: (-len(value), value))


def _values_of_secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= 8:
            yield value


def _without_host(match: re.Match[str]) -> str:
    host = match[2]
    return match[1] + (host if _PUBLIC.fullmatch(host) else HOST)
