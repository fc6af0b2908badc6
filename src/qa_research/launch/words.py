"""The words of a command line, made such that Hydra reads in them what was typed."""

import os
import re
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from qa_research.launch.conf import spelled
from qa_research.plain import MOST_LEVELS
from qa_research.tasks.run_qa import options_in, typed_here
from qa_research.text import did_you_mean, nearest

MULTIRUN = ("-m", "--multirun")
# Hydra's flags, and those that are followed by a value.
VALUED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all")),
    **dict.fromkeys(("--package", "-p", "--config-path", "-cp"), ()),
    **dict.fromkeys(("--config-name", "-cn", "--config-dir", "-cd"), ()),
}
# What may be asked for with a =, and need not be.
INFO = dict.fromkeys(
    ("--info", "-i"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
)
# What is to be done; each excludes the others.
MODES = ("--run", "-r", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
FLAGS = ("--help", "-h", "--hydra-help", "--version", "--resolve", *MULTIRUN, *MODES, *VALUED)
# Keys whose values are names of things outside: files, folders, hub ids, a class of a picture.
NAMES = (
    *("data.train_path", "data.validation_path", "data.dataset", "model.weights"),
    *("model.tokenizer", "image", "label", "classifier.weights"),
)


def readable_words(words: Sequence[str]) -> list[str]:
    """The words in the order and with the quotes that Hydra needs.

    Flags come first, wherever they were typed. Paths and other names are taken as they stand, whatever
    characters they contain; so is any value that Hydra's grammar cannot read. In a sweep, values that are
    equal are one.

    Raises:
        ValueError: a flag that does not exist, or one without its value.
    """
    flags, others = separated(words)
    for word in others:
        if deepest(word) > MOST_LEVELS:
            key = word.partition("=")[0]
            raise ValueError(f"{key:.80} is nested too deeply: more than {MOST_LEVELS} levels")
    is_sweep = any(flag in MULTIRUN for flag in flags)
    return flags + [_readable(word, is_sweep) for word in others]


def deepest(word: str) -> int:
    """How many brackets are open at most: what Hydra's parser calls itself for.

    >>> deepest("a=[[1],{b:[2]}]")
    3
    """
    level = most = 0
    for sign in word:
        level += (sign in "[{(") - (sign in "]})")
        most = max(most, level)
    return most


def separated(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags, each followed by its value, and the other words.

    Raises:
        ValueError: a flag that does not exist, one without its value, or two that exclude each other.
    """
    flags: list[str] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            others.append(word)
            continue
        if name not in FLAGS:
            raise ValueError(f"there is no option {name}{_meant(name, words)}")
        flags.append(word)
        if name in VALUED:
            if not equals:
                value = next(left, "")
                flags.append(value)
            if not value or (VALUED[name] and value not in VALUED[name]):
                allowed = ", ".join(VALUED[name]) or "a value"
                raise ValueError(f"{name} must be followed by {allowed}, got {value!r}")
        elif equals and value not in INFO.get(name, ()):
            known = ", ".join(INFO.get(name, ())) or "no value"
            raise ValueError(f"{name} takes {known}, got {value!r}")
    modes = [flag for flag in flags if flag in (*MULTIRUN, *MODES)]
    if len({*modes}) > 1:
        raise ValueError(f"{modes[0]} and {modes[1]} cannot be combined: use one of them")
    if {"--shell-completion", "-sc"} & {*flags}:
        _check_completion(others)
    if "--resolve" in flags and not {*flags} & {"--cfg", "-c", "--help", "-h"}:
        raise ValueError("--resolve belongs to --cfg job")
    return flags, others


def _check_completion(others: Sequence[str]) -> None:
    """Refuse other words than those of Hydra's tab completion."""
    if len(others) != 1 or others[0].partition("=")[0] not in ("install", "uninstall", "query"):
        raise ValueError(
            "--shell-completion must be followed by install=SHELL, uninstall=SHELL or query=SHELL"
        )


def _meant(name: str, words: Sequence[str]) -> str:
    """What an option that does not exist may have been meant as: a flag, or a key."""
    bare = name.lstrip("-")
    if sentence := typed_here(name, words):
        return f"; {sentence}"
    value = dict(options_in(words)).get(bare, "")
    if near := nearest(name, FLAGS, cutoff=0.75):
        return f"; did you mean {near}?"
    if re.fullmatch(r"[\w./@]+", bare):
        return f"; keys have no dashes: {spelled(bare, value or '...')}"
    return did_you_mean(name, FLAGS)


def _readable(word: str, is_sweep: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals:
        return word
    if is_sweep and _is_one_name(key, value):
        is_sweep = False
    parsed = _parsed(word)
    if parsed is None:
        # Without a sweep a comma belongs to the value.
        parts = value.split(",") if is_sweep else [value]
        return f"{key}=" + ",".join(
            part if len(parts) > 1 and _parsed(f"{key}={part}") else _quoted(part) for part in parts
        )
    if parsed.is_sweep_override():
        if is_sweep:
            return _without_repeats(key, parsed) or word
        return f"{key}={_quoted(value)}" if _is_name(key) else word
    if _is_name(key) and not _is_meant(parsed, value):
        return f"{key}={_quoted(value)}"
    return word


def _is_name(key: str) -> bool:
    key = key.lstrip("+")
    return key in NAMES or key.startswith("paths.")


def _is_one_name(key: str, value: str) -> bool:
    """Whether a sweep's value with commas is a single name: a place of the runs, or a path that exists."""
    exists = os.path.exists(os.path.expanduser(value))
    return key.lstrip("+").startswith("paths.") or (_is_name(key) and exists)


def _is_meant(parsed: Override, value: str) -> bool:
    """Whether Hydra reads a name as it was typed, or as quotes, escapes or an interpolation ask for."""
    found = parsed.value()
    is_quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    if value in ("", "null", "???") or "${" in value:
        return True
    return isinstance(found, str) and (found == value or is_quoted or "\\" in value)


def _parsed(word: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        return None


def _quoted(value: str) -> str:
    """A value in the quotes of Hydra's grammar.

    Inside quotes a quote needs a backslash, and so does each backslash before it: a\\"b -> "a\\\\\\"b". The
    same holds for backslashes at the end.
    """
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'


def _without_repeats(key: str, parsed: Override) -> str | None:
    """A sweep over each value once; None if all of them are different, or only Hydra knows them.

    `seed=1,1` is one job, and so is `model.lr=3e-4,0.0003`.
    """
    swept = parsed.value()
    if not isinstance(swept, ChoiceSweep) or swept.tags or swept.shuffle:
        return None
    texts = list(parsed.sweep_string_iterator())
    kept: dict[tuple[bool, object], str] = {}
    for text, value in zip(texts, _plain(swept), strict=True):
        kept.setdefault(value, text)
    return f"{key}={','.join(kept.values())}" if len(kept) < len(texts) else None


def _plain(swept: ChoiceSweep) -> Iterator[tuple[bool, object]]:
    """The values of a sweep, as they compare: true and 1 differ, 1 and 1.0 do not."""
    for value in swept.list:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield True, float(value)
        else:
            yield False, value.text if isinstance(value, QuotedString) else str(value)
