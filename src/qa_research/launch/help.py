"""`train --help` and `explain --help`: every key with its value and the comment that conf/ has for it.

Only the parts of the verb are shown, with what was chosen on the command line.
"""

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from qa_research.config import conf_directory
from qa_research.launch.conf import ADDED, hydra_initialized
from qa_research.launch.refusals import plain_sentence
from qa_research.launch.words import separated
from qa_research.signals import exit_code_of, without_debug
from qa_research.text import command_line, print_line

HELP = ("--help", "-h")
NARROWEST, WIDEST = 60, 120
# Where comments start; a longer KEY=VALUE has them on the next line.
COLUMN = 38
FLAGS = (
    ("-m", "a sweep: one run for each combination of values joined by commas (seed=1,2,3)"),
    ("--cfg job", "print the composed config as YAML, and exit"),
    ("--debug", "a traceback instead of a one-sentence error"),
    ("--version", "print the versions of qa_research, Python and torch, and exit"),
)


@dataclass(frozen=True)
class Part:
    """What is known of a group: the option that was chosen, what that is, and the other ones."""

    group: str
    chosen: str
    description: str
    others: tuple[str, ...]


def help_of(config_name: str, words: Sequence[str]) -> int:
    """Print the help of a verb, or one sentence on what is wrong with the words; the exit code."""
    kept, debug = without_debug(words)

    def work() -> int:
        try:
            return show_help(config_name, kept)
        except (HydraException, OmegaConfBaseException) as error:
            raise ValueError(plain_sentence(error)) from error

    return exit_code_of(work, debug, command_line("qa-research", config_name, *words))


def show_help(config_name: str, words: Sequence[str]) -> int:
    """Print the help of a verb, with the choices among the words; the exit code."""
    columns = shutil.get_terminal_size((80, 24)).columns
    _, overrides = separated([word for word in words if word != "--json"])
    if overrides:
        from qa_research.launch.overrides import check_overrides

        check_overrides(words, config_name)
    for line in help_lines(config_name, overrides, min(max(columns, NARROWEST), WIDEST)):
        print_line(line)
    return 0


def help_lines(config_name: str, overrides: Sequence[str], width: int) -> Iterator[str]:
    """The lines of the help, each at most `width` wide where its words allow it."""
    with hydra_initialized() as loader:
        config = hydra.compose(config_name, list(overrides), return_hydra_config=True)
        choices = dict(config.hydra.runtime.choices)
        parts = {name: _part(name, str(choice), loader) for name, choice in choices.items()}
        yield from _wrapped(str(config.hydra.help.header), width)
        yield ""
        values: Any = OmegaConf.to_container(config, resolve=True)
        comments = _comments(config_name, choices)
        yield from _sections(config_name, values, parts, comments, width)
        if config_name == "train":
            yield from _added(loader, width)
    yield "Options"
    for flag, what in FLAGS if config_name == "train" else (*FLAGS, ("--json", "print JSON only")):
        yield from _two_columns(f"  {flag}", what, width, column=16)
    yield ""
    yield from str(config.hydra.help.footer).rstrip().splitlines()


def _part(group: str, chosen: str, loader: ConfigLoader) -> Part:
    if "/" in group:
        return Part(group, chosen, "", ())
    others = [name for name in loader.get_group_options(group) if name != chosen]
    return Part(group, chosen, _description(group, chosen), tuple(others))


def _sections(
    config_name: str,
    values: Mapping[str, Any],
    parts: Mapping[str, Part],
    comments: Mapping[str, str],
    width: int,
) -> Iterator[str]:
    """The keys at the top, then each section below its choice, in the order of the defaults."""
    single = [key for key, value in values.items() if not isinstance(value, dict)]
    for key in single:
        yield from _keys(key, values[key], comments, width)
    yield ""
    content = yaml.safe_load((conf_directory() / f"{config_name}.yaml").read_text(encoding="utf-8"))
    order = [name for entry in content["defaults"] if isinstance(entry, dict) for name in entry]
    places = {name: place for place, name in enumerate(order)}
    sections = [key for key in values if key not in (*single, "hydra")]
    for section in sorted(sections, key=lambda name: places.get(name, len(order))):
        part = parts.get(section)
        yield f"{section}={part.chosen}" if part else section
        if part:
            yield from _wrapped(part.description, width, "  ")
        if part and part.others:
            yield from _wrapped(f"or {section}=" + ", ".join(part.others), width, "  ")
        for key, value in values[section].items():
            yield from _keys(f"{section}.{key}", value, comments, width)
        yield ""


def _keys(key: str, value: Any, comments: Mapping[str, str], width: int) -> Iterator[str]:
    """The lines of a key, or of all keys of a section with a class of its own, such as a recorder."""
    if key.endswith("._target_"):
        return
    if isinstance(value, dict) and "_target_" in value:
        for name, content in value.items():
            yield from _keys(f"{key}.{name}", content, comments, width)
        return
    yield from _two_columns(f"  {key}={_spelled(value)}", comments.get(key, ""), width)


def _spelled(value: Any) -> str:
    """A value as a command line takes it; a list of sections is too long for one.

    >>> _spelled([0, -1]), _spelled(None), _spelled({"a/b": 99.5})
    ('[0,-1]', 'null', '{a/b: 99.5}')
    """
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return "[...]"
    if isinstance(value, list):
        return f"[{','.join(map(_spelled, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_spelled(entry)}" for key, entry in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _added(loader: ConfigLoader, width: int) -> Iterator[str]:
    """What a command may add with a +."""
    for group in ADDED:
        yield f"+{group}=NAME"
        for option in loader.get_group_options(group):
            yield from _two_columns(f"  {option}", _description(group, option), width, column=20)
        yield ""


def _two_columns(left: str, right: str, width: int, column: int = COLUMN) -> Iterator[str]:
    """`left`, and `right` folded in the column beside it; below it where `left` is too long."""
    folded = textwrap.wrap(right, width - column, break_on_hyphens=False) or [""]
    if len(left) > column - 2:
        yield left
    else:
        yield f"{left:{column}}{folded.pop(0)}".rstrip()
    yield from (" " * column + line for line in folded if line)


def _wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    for line in text.splitlines():
        yield from textwrap.wrap(
            line, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )


def _description(group: str, option: str) -> str:
    """What the first comment of an option's file says; its first line, where it has more."""
    path = conf_directory() / group / f"{option}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    comments = (line.lstrip("# ") for line in lines if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@package")), "")


def _comments(config_name: str, choices: Mapping[str, Any]) -> dict[str, str]:
    """The comment of each key, from the files that were chosen; where two files have one, both.

    Of a group these are its recorders, the option, and the files that this one starts from.
    """
    found: dict[str, list[str]] = {}
    for path in [conf_directory() / f"{config_name}.yaml", *_files(choices)]:
        folders = path.relative_to(conf_directory()).parts[:-1]
        header = re.search(r"^# @package (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        package = header[1] if header else "".join(folders[:1])
        prefix = f"{package}." if package not in ("", "_global_") else ""
        for key, comment in comments_in(path).items():
            known = found.setdefault(f"{prefix}{key}", [])
            if comment not in known:
                known.append(comment)
    return {key: "; ".join(comments) for key, comments in found.items()}


def _files(choices: Mapping[str, Any]) -> Iterator[Path]:
    for group, option in choices.items():
        # Such as data/parts/interval@_global_.
        folder = conf_directory() / group.partition("@")[0]
        # Others are Hydra's own, or in a folder of the user's.
        if isinstance(option, str) and (folder / f"{option}.yaml").is_file():
            yield from sorted(folder.glob("recorders/*.yaml"))
            yield from _with_bases(folder, option)


def _with_bases(folder: Path, option: str) -> Iterator[Path]:
    """The file of an option, after those of its folder that it starts from."""
    path = folder / f"{option}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for entry in content.get("defaults", ()):
        name = entry.partition("@")[0] if isinstance(entry, str) else ""
        if (folder / f"{name}.yaml").is_file():
            yield from _with_bases(folder, name)
    yield path


def comments_in(path: Path) -> dict[str, str]:
    """The comments behind the values of a YAML file, by dotted key."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return dict(_commented(root, text.splitlines(), "")) if root is not None else {}


def _commented(node: yaml.Node, lines: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for name, value in node.value:
        is_block = not isinstance(value, yaml.ScalarNode) and not value.flow_style
        # Of a block the comment is behind its key: `metrics: # the ones that lists show`.
        mark = name.end_mark if is_block else value.end_mark
        is_text = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
        if not is_text and (
            match := re.search(r"(?:^|\s)#\s*(.*)$", lines[mark.line][mark.column :])
        ):
            yield f"{prefix}{name.value}", match[1].rstrip()
        yield from _commented(value, lines, f"{prefix}{name.value}.")
