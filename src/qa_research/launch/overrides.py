"""Names in overrides are checked before Hydra composes: groups, options and keys, and how each is spelled."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, ValueType
from hydra.errors import MissingConfigException

from qa_research.launch.conf import (
    ADDED,
    VERBS,
    choices_named,
    composed,
    groups_at_start,
    hydra_initialized,
    spelled,
)
from qa_research.launch.words import MULTIRUN, separated
from qa_research.tasks.earlier_configs import new_spelling
from qa_research.text import did_you_mean

# Hydra's flags that bring in other configs than ours, which then cannot be checked here.
OTHER_CONFIGS = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd")
FOLDERS_OF_CONFIGS = ("--config-path", "-cp", "--config-dir", "-cd")
# Groups that say how the jobs of a sweep run.
OF_SWEEPS = ("launcher", "search", "hydra/launcher", "hydra/sweeper")
# Flags with which nothing is run.
SHOWING = ("--cfg", "-c", "--help", "-h", "--hydra-help", "--info", "-i")


def check_overrides(words: Sequence[str], config_name: str) -> None:
    """Refuse names in overrides that the configs in conf/ do not have, and offer the nearest.

    Raises:
        ValueError: a word that is no KEY=VALUE, an unknown key, or one that was renamed; a choice that needs
            a + or has one too many; several values without -m.
        MissingConfigException: a group has no such option, or its plugin is not installed.
        HydraException: the overrides cannot be parsed or composed.
    """
    flags, others = separated(words)
    names = {flag.partition("=")[0] for flag in flags}
    if not others or names & {*OTHER_CONFIGS, "--shell-completion", "-sc"}:
        return
    is_sweep = bool(names & {*MULTIRUN}) or "hydra.mode=MULTIRUN" in others
    given = overrides_in(others)
    for word in given:
        if sentence := new_spelling(word):
            raise ValueError(sentence)
    with hydra_initialized() as loader:
        for word in others:
            if word not in given or re.match(r"[+~]*[=@]", word):
                raise ValueError(_no_override(word, config_name, is_sweep, loader))
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(given)
        # Further folders of configs bring in further groups and options.
        path = [word for word in given if word.startswith("hydra.searchpath=")]
        groups = [override for override in parsed if _is_group(override, loader, path)]
        _check_choices(groups, config_name, loader, path)
        for override in parsed:
            _check_number(override, override in groups, is_sweep, bool(names & {*SHOWING}))
        configs = [composed(config_name, [*path, *chosen]) for chosen in _choices(groups)]
    for override in parsed:
        if override.is_add() and override not in groups:
            _check_added(override, configs)
        elif override not in groups and not override.is_force_add():
            _check_key(override.key_or_group, configs)
            _check_keys_within(override, configs)


def overrides_in(words: Sequence[str]) -> list[str]:
    """The overrides among words that may also hold flags and their values, as in `--cfg job`."""
    return [word for word in words if not word.startswith("-") and ("=" in word or word[:1] == "~")]


def _no_override(word: str, config_name: str, is_sweep: bool, loader: ConfigLoader) -> str:
    """The sentence on a word without =, with what was probably meant."""
    refused = f"{word!r} is not of the form KEY=VALUE"
    if found := choices_named(word, config_name, loader):
        return f"{refused}; did you mean {' or '.join(found)}?"
    if config_name == "explain" and Path(word).expanduser().is_file():
        return f"{refused}; did you mean image={word}?"
    if word in ADDED or loader.get_group_options(word):
        return f"{refused}; did you mean {spelled(word, 'NAME')}?"
    if _unknown_part(word, composed(config_name, [])) is None:
        return f"{refused}; did you mean {word}=...?"
    if is_sweep:
        return f"{refused}; the values of a sweep are joined by commas, as in seed=1,2,3"
    return refused


def _is_group(override: Override, loader: ConfigLoader, path: list[str]) -> bool:
    """Whether an override chooses files of conf/ (or of Hydra), such as model=minilm."""
    if override.package is not None or override.key_or_group in ADDED:
        return True
    return bool(loader.get_group_options(override.key_or_group, overrides=path))


def _check_choices(
    groups: Sequence[Override], config_name: str, loader: ConfigLoader, path: list[str]
) -> None:
    """Refuse options that do not exist, groups of another verb, and a + that is missing or too many."""
    if not groups:
        return
    at_start = groups_at_start(config_name, loader)
    for override in groups:
        group, line = override.key_or_group, override.input_line or ""
        key = override.get_key_element().lstrip("+~")
        if verb := _other_verb(group, config_name, loader):
            raise ValueError(f"{line} is a choice of {verb}, not of {VERBS[config_name]}")
        if override.is_delete():
            if group not in at_start and not any(o.is_add() for o in groups):
                raise ValueError(f"{key} was not chosen, so {line} has nothing to remove")
            continue
        options = loader.get_group_options(group, overrides=path)
        _check_options(override, options)
        chosen = line.partition("=")[2]
        if override.is_force_add():
            raise ValueError(f"++ is for single values; did you mean {spelled(key, chosen)}?")
        if override.is_add() and group in at_start and override.package is None:
            raise ValueError(
                f"{key} is chosen already; to choose another one leave out the +: {line[1:]}"
            )
        if not override.is_add() and (group in ADDED or override.package is not None):
            raise ValueError(f"{line} lacks a +: did you mean +{line}?")


def _other_verb(group: str, config_name: str, loader: ConfigLoader) -> str | None:
    """The verb that a group belongs to, if that is not the one of the command line."""
    top = group.partition("/")[0]
    if top == "hydra" or top in groups_at_start(config_name, loader):
        return None
    if top in ADDED:
        return None if config_name == "train" else VERBS["train"]
    for other, verb in VERBS.items():
        if other != config_name and top in groups_at_start(other, loader):
            return verb
    return None


def _check_options(override: Override, options: Sequence[str]) -> None:
    """Refuse an option that the files of a group do not have.

    Raises:
        ValueError: the value cannot be the name of one.
        MissingConfigException: there is none of this name.
    """
    value = override.value()
    if override.is_sweep_override():
        names = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
    else:
        names = [_text(name) for name in (value if isinstance(value, list) else [value])]
    # Only a folder within a group's, as capture/recorders, is a list of options.
    is_list = isinstance(value, list) and "/" not in override.key_or_group
    if not all(names) or is_list:
        raise ValueError(f"{override.input_line} is not a choice; known: {', '.join(options)}")
    group = override.key_or_group
    for name in names:
        # A list may be swept, too: capture/recorders=[logits],[attention].
        if name[:1] != "[" and name not in options:
            # A folder of the user's own may have it, in a group that conf/ has, too.
            raise MissingConfigException(
                message="not found", missing_cfg_file=f"{group}/{name}", options=list(options)
            )


def _text(value: Any) -> str:
    """The name that a value is; nothing if it is none."""
    return (
        value.text if isinstance(value, QuotedString) else value if isinstance(value, str) else ""
    )


def _check_number(override: Override, is_group: bool, is_sweep: bool, is_showing: bool) -> None:
    """Refuse several values without -m, of Hydra's own settings, and what is for sweeps without one."""
    line, key = override.input_line or "", override.key_or_group
    if override.is_sweep_override():
        if key.startswith("hydra."):
            raise ValueError(f"{line}: a setting of Hydra's has one value for a whole sweep")
        if not is_sweep:
            is_list = override.value_type == ValueType.SIMPLE_CHOICE_SWEEP and not is_group
            as_list = f"; as one list it is {line.replace('=', '=[', 1)}]" if is_list else ""
            raise ValueError(f"{line} names several values: add -m, which runs each{as_list}")
    if key in OF_SWEEPS and not (is_sweep or is_showing or override.is_delete()):
        raise ValueError(f"{line} is for sweeps: add -m")


def _check_added(override: Override, configs: Sequence[dict[str, Any]]) -> None:
    """Refuse a + before a key that has a value already; a section or a list it extends."""
    found = [_value_at(override.key_or_group, config) for config in configs]
    is_extended = isinstance(override.value(), dict | list)
    if not is_extended and all(value is not None for value in found):
        line = (override.input_line or "").lstrip("+")
        raise ValueError(f"{override.key_or_group} has a value already; without +: {line}")


def _choices(groups: Sequence[Override]) -> Iterator[list[str]]:
    """Sets of choices in which each option of each swept group occurs.

    Of `model=a,b data=c,d` these are [model=a data=c], [model=b data=c] and [model=a data=d]: the keys of
    one group do not depend on another one, so the fourth combination would bring in no other name.
    """
    options = [_options(override) for override in groups]
    first = [lines[0] for lines in options]
    yield first
    for number, lines in enumerate(options):
        for line in lines[1:]:
            yield [*first[:number], line, *first[number + 1 :]]


def _options(override: Override) -> list[str]:
    line = override.input_line or ""
    if not override.is_discrete_sweep():
        return [line]
    key = line.partition("=")[0]
    return [f"{key}={value}" for value in override.sweep_string_iterator()] or [line]


def _check_key(key: str, configs: Sequence[dict[str, Any]]) -> None:
    """Refuse a key that none of the configs has."""
    refusals = [
        refusal for config in configs if (refusal := _unknown_part(key, config)) is not None
    ]
    if len(refusals) < len(configs):
        return
    if re.match(r"hydra\.(launcher|sweeper)\.", key):
        which = "launcher" if key.startswith("hydra.launcher") else "search"
        raise ValueError(f"{key} needs +{which}=NAME, which was not chosen")
    raise ValueError(f"there is no config key {key}{refusals[0]}")


def _check_keys_within(override: Override, configs: Sequence[dict[str, Any]]) -> None:
    """Refuse keys of a value such as {val/f1: 90} that the same value has in none of the configs."""
    value, key = override.value(), override.key_or_group
    if not isinstance(value, dict) or key.startswith("hydra."):
        return
    sections = [config for config in configs if isinstance(_value_at(key, config), dict)]
    for name in value if sections else ():
        _check_key(f"{key}.{name}", sections)


def _value_at(key: str, config: dict[str, Any]) -> Any:
    """The value of a dotted key; None if the config has no such key, as those of Hydra's own settings."""
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _unknown_part(key: str, config: dict[str, Any]) -> str | None:
    """The nearest names for the first part of a key that a config does not have; None if it has all.

    A key of the same name in another section is the nearest.

    >>> _unknown_part("model.lrr", {"model": {"lr": 1, "decay": 2}})
    '; did you mean model.lr?'
    >>> _unknown_part("lr", {"model": {"lr": 1, "decay": 2}})
    '; did you mean model.lr?'
    """
    known: Any = config
    # What Hydra itself is set by is not offered.
    own = {name: value for name, value in config.items() if name != "hydra"}
    prefix = ""
    for part in key.split("."):
        # Single values of a list are set as key.0, which Hydra checks.
        if isinstance(known, list):
            return None
        if not isinstance(known, dict):
            return f"; {prefix.removesuffix('.')} is a single value"
        if part not in known:
            if not known:
                return f"; a new one is added with +{key}=..."
            if "/" in part and _unknown_part(dotted := key.replace("/", "."), config) is None:
                return f"; did you mean {dotted}?"
            if same := [found for found in _dotted(own) if found.endswith(f".{key}")]:
                return f"; did you mean {' or '.join(same)}?"
            return did_you_mean(part, map(str, own if known is config else known), prefix)
        known, prefix = known[part], f"{prefix}{part}."
    return None


def _dotted(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys of a config's values, with dots."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
