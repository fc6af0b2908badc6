"""What Hydra and others raise, as one plain sentence with the nearest known name."""

import re
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from qa_research.run.config import default_config, suggestion

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
        return f"there is no {found.group(1)}={found.group(2)}{suggestion(found.group(2), known)}"
    return " ".join(text.split())


def _unknown_override(key: str, config_name: str) -> str:
    """Hydra says only that a key is not there; the default config knows what is."""
    known: Any = default_config(config_name)
    *sections, last = key.split(".")
    prefix = ""
    for section in sections:
        if section not in known or not isinstance(known[section], dict):
            return f"there is no config key {key}" + suggestion(section, map(str, known), prefix)
        known, prefix = known[section], f"{prefix}{section}."
    return f"there is no config key {key}" + suggestion(last, map(str, known), prefix)
