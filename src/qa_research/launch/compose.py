"""From a command line to a checked config: names are checked first, then Hydra composes and runs.

The constructors' signatures are the schema: names, types and ranges are stated there and nowhere else.
"""

import os
import re
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from qa_research.config import (
    allow_classes,
    check_section,
    check_value,
    conf_directory,
    missing_keys,
    unknown_key,
)
from qa_research.launch.conf import hydra_initialized
from qa_research.launch.help import HELP, show_help
from qa_research.launch.overrides import (
    FOLDERS_OF_CONFIGS,
    OTHER_CONFIGS,
    check_overrides,
    overrides_in,
)
from qa_research.launch.refusals import plain_sentence
from qa_research.launch.words import readable_words
from qa_research.plain import check_extent, has_too_many_digits, read_yaml
from qa_research.runs.told import Told, recall
from qa_research.runs.versions import version_line
from qa_research.signals import one_sentence
from qa_research.tasks.task import sections_of_task
from qa_research.text import print_line
from qa_research.training.settings import Settings, study_of, with_units

# A key that must be given unless another one is, and what that does.
INSTEAD = {
    "data.validation_path": (
        "data.validation_share",
        "with one file, data.validation_share=0.2 keeps a fifth of data.train_path for validation",
    )
}
# Arguments of constructors that no config can say.
GIVEN_IN_CODE = {"capture": ("recorders",), "checkpoint": ("directory", "predictions")}


def checked(config: DictConfig, settings: type = Settings) -> dict[str, Any]:
    """The config as plain values, resolved, once every key and value has been found fit.

    `settings`: the dataclass of the keys at the top and their types.

    Raises:
        ValueError: a key that nobody knows (the nearest known one is offered), a missing value, or
            one of the wrong type or out of range.
    """
    plain = _plain(config)
    allow_classes(plain)
    top = typing.get_type_hints(settings, include_extras=True)
    if "task" in plain and "task" in top:
        top |= dict.fromkeys(sections_of_task(plain["task"]), dict[str, Any])
    for key in top:
        if key not in plain:
            raise ValueError(f"{key} must be given: it was removed from the config")
    if "study" in top and plain["study"] is None:
        plain["study"] = study_of(plain)
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
    return plain


def taken_out(config: DictConfig, section: str) -> dict[str, Any] | None:
    """A section that is not part of the run's config, as plain values; None if there is none."""
    if section not in config:
        return None
    with open_dict(config):
        found: Any = OmegaConf.to_container(config.pop(section), resolve=True)
    return typing.cast(dict[str, Any], found)


def told_of(config: DictConfig) -> Told | None:
    """What was last said of this config's finished run, if that still holds and no new one is asked for.

    Nothing slow is imported, and nothing checked: if the same config is remembered, it was checked then.
    """
    plain = _plain(config)
    train, trainer = plain.get("train"), plain.get("trainer")
    if (
        not isinstance(train, dict)
        or not isinstance(trainer, dict)
        or train.get("resume") == "never"
    ):
        return None
    if plain.get("study") is None:
        plain["study"] = study_of(plain)
    return recall(plain | {"trainer": with_units(trainer)})


def _plain(config: DictConfig) -> dict[str, Any]:
    """A composed config as plain values, resolved.

    Raises:
        ValueError: a value that must be given is missing.
    """
    missing = OmegaConf.missing_keys(config)
    for key, (other, _) in INSTEAD.items():
        if OmegaConf.select(config, other, default=None) is None:
            continue
        if key not in missing and OmegaConf.select(config, key) is not None:
            raise ValueError(f"{key} and {other} exclude each other: leave out one of them")
        OmegaConf.update(config, key, None)
        missing.discard(key)
    if missing:
        names = " and ".join(sorted(missing))
        ways = "".join(f"; {INSTEAD[key][1]}" for key in INSTEAD if key in missing)
        raise ValueError(f"{names} must be given{ways}")
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return typing.cast(dict[str, Any], plain)


def default_config(name: str = "train", overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of `qa-research train`, or another launcher, without other overrides, as plain values."""
    with hydra_initialized():
        plain: Any = OmegaConf.to_container(hydra.compose(name, [*overrides]), resolve=True)
    return typing.cast(dict[str, Any], plain)


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
    names = {word.partition("=")[0] for word in words}
    try:
        check_own_configs(words)
        if names & {*HELP} and not names & {*OTHER_CONFIGS}:
            show_help(config_name, words)
            return
        if "--version" in names:
            print_line(version_line())
            return
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
