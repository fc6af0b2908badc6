"""From a command line to a checked config: names are checked first, then Hydra composes and runs.

The constructors' signatures are the schema: names, types and ranges are stated there and nowhere else.
"""

import os
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from qa_research.config import (
    allow_classes,
    check_section,
    check_value,
    conf_directory,
    missing_keys,
    unknown_key,
)
from qa_research.launch.words import readable_words
from qa_research.plain import check_extent, has_too_many_digits, read_yaml
from qa_research.signals import one_sentence
from qa_research.tasks.earlier_configs import new_spelling
from qa_research.tasks.task import sections_of_task
from qa_research.text import did_you_mean
from qa_research.training.settings import Settings, with_units


def checked(config: DictConfig, settings: type = Settings) -> dict[str, Any]:
    """The config as plain values, resolved, once every key and value has been found fit.

    `settings`: the dataclass of the keys at the top and their types.

    Raises:
        ValueError: a key that nobody knows (the nearest known one is offered), a missing value, or
            one of the wrong type or out of range.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ValueError(f"{missing[0]} must be given: {missing[0]}=...")
    plain: Any = OmegaConf.to_container(config, resolve=True)
    allow_classes(plain)
    top = typing.get_type_hints(settings, include_extras=True)
    if "task" in plain and "task" in top:
        top |= dict.fromkeys(sections_of_task(plain["task"]), dict[str, Any])
    for key in top:
        if key not in plain:
            raise ValueError(f"{key} must be given: it was removed from the config")
    for key, value in plain.items():
        if key not in top:
            raise ValueError(unknown_key(str(key), "", top))
        if not isinstance(value, dict):
            check_value(str(key), value, top[key])
            continue
        given = sections_of_task(value) if key == "task" else GIVEN_IN_CODE.get(str(key), ())
        for missing_key in missing_keys(str(key), value, given):
            raise ValueError(f"{key}.{missing_key} must be given: it was removed from the config")
        check_section(str(key), value)
    if "trainer" in top:
        plain["trainer"] = with_units(plain["trainer"])
    return typing.cast(dict[str, Any], plain)


def default_config(name: str = "train") -> dict[str, Any]:
    """The config of `qa-research train`, or another launcher, without any override, as plain values."""
    with hydra_initialized():
        plain: Any = OmegaConf.to_container(hydra.compose(name), resolve=True)
    return typing.cast(dict[str, Any], plain)


@contextmanager
def hydra_initialized() -> Iterator[ConfigLoader]:
    """Compose from conf/ inside, also while Hydra runs a job; yields what lists its groups and options."""
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_directory()), version_base="1.3"):
            yield GlobalHydra.instance().config_loader()
    finally:
        restore_gh_from_backup(before)


# Arguments of constructors that no config can say.
GIVEN_IN_CODE = {"capture": ("recorders",), "checkpoint": ("directory", "predictions")}
# What a job or Hydra raises when the request is at fault, not the program.
REFUSALS = (HydraException, OmegaConfBaseException, ValueError, OSError)

# Hydra's flags that bring in other configs than ours, which then cannot be checked here.
OTHER_CONFIGS = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd")
FOLDERS_OF_CONFIGS = ("--config-path", "-cp", "--config-dir", "-cd")
CLUSTER = "pip install 'qa-research[cluster]'"
# Options that need a plugin of Hydra's: what was typed, and how to install it.
PLUGINS = {
    "hydra/launcher/joblib": ("+launcher=joblib", CLUSTER),
    "hydra/launcher/submitit_local": ("+launcher=submitit_local", CLUSTER),
    "hydra/launcher/submitit_slurm": ("+launcher=slurm", CLUSTER),
    "hydra/sweeper/optuna": ("+search=optuna", CLUSTER),
    # Without --no-deps its requirements would replace ours by old versions that it does not need.
    "hydra/launcher/ray": (
        "+launcher=ray",
        "pip install 'ray>=2.60' && pip install --no-deps hydra-ray-launcher==1.2.2",
    ),
}


def run_hydra(
    job: Callable[[DictConfig], Any], config_name: str, words: Sequence[str], script: str
) -> None:
    """Compose a config from the words, and call `job` with it: once, or for each job of a sweep.

    `script`: what Lightning starts again for each further process of a distributed training.

    Raises:
        ValueError: a name or value that cannot be composed, in one sentence.
    """
    # Hydra then raises errors instead of printing them and exiting.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    before = sys.argv
    words = readable_words(words)
    try:
        check_own_configs(words)
        check_overrides(words, config_name)
        # hydra.main reads its overrides from nowhere else, and Lightning starts the other processes of
        # a distributed training as `python sys.argv[0] sys.argv[1:]`. So this is set, here and only here.
        sys.argv = [script, *words]
        directory = str(conf_directory())
        launch: Any = hydra.main(
            version_base="1.3", config_path=directory, config_name=config_name
        )(job)
        launch()
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(plain_sentence(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable_config(words, error) from error
    except ValueError as error:
        if not has_too_many_digits(error):
            raise
        raise _unreadable_config(words, error) from error
    finally:
        sys.argv = before


def check_overrides(words: Sequence[str], config_name: str) -> None:
    """Refuse names in overrides that the configs in conf/ do not have, and offer the nearest.

    Raises:
        ValueError: an unknown key, or one that was renamed.
        MissingConfigException: a group has no such option, or its plugin is not installed.
        HydraException: the overrides cannot be parsed or composed.
    """
    given = overrides_in(words)
    if not given or any(word.partition("=")[0] in OTHER_CONFIGS for word in words):
        return
    for word in given:
        if sentence := new_spelling(word):
            raise ValueError(sentence)
    with hydra_initialized() as loader:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(given)
        # Further folders of configs bring in further groups and options.
        path = [word for word in given if word.startswith("hydra.searchpath=")]
        groups = [override for override in parsed if _is_group(override, loader, path)]
        configs = [_composed(config_name, [*path, *chosen]) for chosen in _choices(groups)]
    for override in parsed:
        if override not in groups and not (override.is_add() or override.is_force_add()):
            _check_key(override.key_or_group, configs)
            _check_keys_within(override, configs)


def check_own_configs(words: Sequence[str]) -> None:
    """Refuse files of the user's own folders of configs that Hydra would not end reading.

    Raises:
        ValueError: the file is nested too deeply, or too large once its aliases are followed.
    """
    for file in _own_configs(words):
        # What else may be wrong with it is only said if it is chosen.
        with suppress(yaml.YAMLError):
            check_extent(file.read_text(encoding="utf-8", errors="replace"), str(file))


def _unreadable_config(words: Sequence[str], error: Exception) -> ValueError:
    """The sentence of the user's own config that Hydra could not read, as its error names none."""
    for file in _own_configs(words):
        try:
            read_yaml(file)
        except ValueError as refusal:
            return refusal
    return ValueError(f"a config cannot be read: {one_sentence(error)}")


def _own_configs(words: Sequence[str]) -> Iterator[Path]:
    """The configs of the user's own folders: their files, and those of groups that could be chosen there.

    Those are the groups that conf/ has and that an override names. Other folders, such as runs, are left.
    """
    known = {path.name for path in conf_directory().iterdir() if path.is_dir()}
    named = {re.split("[=/@]", word.lstrip("+~"))[0] for word in overrides_in(words)}
    for folder in map(Path, _own_folders(words)):
        yield from sorted(folder.glob("*.yaml"))
        for group in sorted(known | named - {"", ".", ".."}):
            yield from sorted((folder / group).rglob("*.yaml"))


def _own_folders(words: Sequence[str]) -> Iterator[str]:
    """The folders of --config-dir and --config-path, and those of Hydra's search path."""
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name in FOLDERS_OF_CONFIGS:
            yield value if equals else following
        elif name.lstrip("+") == "hydra.searchpath":
            for place in re.split(r"[\[\],\"']+", value):
                if "://" not in place or place.startswith("file://"):
                    yield place.removeprefix("file://").strip() or os.devnull


def overrides_in(words: Sequence[str]) -> list[str]:
    """The overrides among words that may also hold flags and their values, as in `--cfg job`."""
    return [word for word in words if not word.startswith("-") and ("=" in word or word[:1] == "~")]


def plain_sentence(error: Exception) -> str:
    """What went wrong, in one line; with the nearest known name where an option does not exist."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        if error.missing_cfg_file in PLUGINS:
            typed, how = PLUGINS[error.missing_cfg_file]
            return f"{typed} needs a Hydra plugin that is not installed: {how}"
        group, _, name = error.missing_cfg_file.rpartition("/")
        known = sorted(file.stem for file in (conf_directory() / group).glob("*.yaml"))
        return f"there is no {group}={name}" + did_you_mean(name, error.options or known)
    if isinstance(error, OverrideParseException):
        key, equals, value = error.override.partition("=")
        if not equals:
            return f"{error.override!r} is not of the form KEY=VALUE"
        quoted = f"'{key}=\"{value}\"'"
        return f"{error.override} cannot be parsed; special characters need quotes: {quoted}"
    if isinstance(error, HydraException) and not str(error) and error.__cause__ is not None:
        return one_sentence(error.__cause__)
    return one_sentence(error)


def _is_group(override: Override, loader: ConfigLoader, path: list[str]) -> bool:
    """Whether an override chooses files of conf/ (or of Hydra), such as model=minilm."""
    options = loader.get_group_options(override.key_or_group, overrides=path)
    if (
        options
        and override.package is None
        and override.value() is None
        and not override.is_delete()
    ):
        raise ValueError(f"{override.input_line} is not a choice; known: {', '.join(options)}")
    return bool(options) or override.package is not None


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


def _composed(config_name: str, overrides: list[str]) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(hydra.compose(config_name, overrides), resolve=False)
    return dict(plain)


def _check_key(key: str, configs: Sequence[dict[str, Any]]) -> None:
    """Refuse a key that none of the configs has."""
    # Hydra's own settings are not in the composed configs; Hydra checks them.
    if key.partition(".")[0].partition("/")[0] == "hydra":
        return
    refusals = [
        refusal for config in configs if (refusal := _unknown_part(key, config)) is not None
    ]
    if len(refusals) == len(configs):
        raise ValueError(f"there is no config key {key}{refusals[0]}")


def _check_keys_within(override: Override, configs: Sequence[dict[str, Any]]) -> None:
    """Refuse keys of a value such as {val/f1: 90} that the same value has in none of the configs."""
    value, key = override.value(), override.key_or_group
    if not isinstance(value, dict):
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
    prefix = ""
    for part in key.split("."):
        # Single values of a list are set as key.0, which Hydra checks.
        if isinstance(known, list):
            return None
        if not isinstance(known, dict):
            return f"; {prefix.removesuffix('.')} is a single value"
        if part not in known:
            if same := [found for found in _dotted(config) if found.endswith(f".{key}")]:
                return f"; did you mean {' or '.join(same)}?"
            return did_you_mean(part, map(str, known), prefix)
        known, prefix = known[part], f"{prefix}{part}."
    return None


def _dotted(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys of a config's values, with dots."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
