"""Composed configs: where conf/ lies, what may stand in them, and how they become objects.

The constructors' signatures are the schema: names, types and ranges stand there and nowhere else.

What Hydra and others raise, as one plain sentence with the nearest known name.
"""

import re
import typing
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from qa_research.config import _check_value, check_section, unknown_key
from qa_research.text import did_you_mean
from qa_research.training.settings import Settings


def conf_directory() -> Path:
    """The folder of configs: in the installed package, or beside src/ in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"conf/ lies neither in {package} nor in {package.parents[1]}")


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
    top = typing.get_type_hints(settings, include_extras=True)
    for key, value in plain.items():
        if key not in top:
            raise ValueError(unknown_key(str(key), "", top))
        if not isinstance(value, dict):
            _check_value(str(key), value, top[key])
        elif "_target_" in value:
            check_section(str(key), value)
    return typing.cast(dict[str, Any], plain)


def default_config(name: str = "train") -> dict[str, Any]:
    """The config of `qa-research train`, or another launcher, without any override, as plain values."""
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_directory()), version_base="1.3"):
            config = hydra.compose(name)
    finally:
        restore_gh_from_backup(before)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return typing.cast(dict[str, Any], plain)


_CLUSTER = "pip install 'qa-research[cluster]'"
_PLUGINS = {
    "job": _CLUSTER,
    "sub": _CLUSTER,
    "opt": _CLUSTER,
    # Its own requirements name versions that it does not need.
    "ray": "pip install 'ray>=2.60' && pip install --no-deps hydra-ray-launcher==1.2.2",
}


def plain_sentence(error: Exception, config_name: str = "train") -> str:
    """What went wrong, in one line, with the nearest known name where one was mistyped.

    `config_name`: the config of the app whose keys are known.
    """
    text = str(error).strip()
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return " ".join(text.split()) or type(error).__name__
    if found := re.search(r"'(?:hydra/)?(launcher|sweeper)/(joblib|submitit\w*|optuna|ray)'", text):
        how = "+launcher" if found.group(1) == "launcher" else "+search"
        return f"{how}={found.group(2)} needs a plugin of Hydra's: {_PLUGINS[found.group(2)[:3]]}"
    if found := re.search(r"Could not override '([^']+)'", text):
        return _unknown_override(found.group(1), config_name)
    if found := re.search(r"Could not find '([^'/]+)/([^']+)'", text):
        options = text.partition("Available options")[2].split("\n\t")[1:]
        known = [option.split("\n")[0].strip() for option in options]
        return f"there is no {found.group(1)}={found.group(2)}{did_you_mean(found.group(2), known)}"
    return " ".join(text.split())


def _unknown_override(key: str, config_name: str) -> str:
    """Hydra says only that a key is not there; the default config knows what is."""
    known: Any = default_config(config_name)
    *sections, last = key.split(".")
    prefix = ""
    for section in sections:
        if section not in known or not isinstance(known[section], dict):
            return f"there is no config key {key}" + did_you_mean(section, map(str, known), prefix)
        known, prefix = known[section], f"{prefix}{section}."
    return f"there is no config key {key}" + did_you_mean(last, map(str, known), prefix)
