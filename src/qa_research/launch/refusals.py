"""What Hydra refuses, in our words: one sentence that says what was typed and what to type instead."""

import re
from collections.abc import Callable

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from qa_research.config import conf_directory
from qa_research.launch.conf import ADDED, spelled
from qa_research.signals import one_sentence
from qa_research.text import did_you_mean

# What a job or Hydra raises when the request is at fault, not the program.
REFUSALS = (HydraException, OmegaConfBaseException, ValueError, OSError)

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


def plain_sentence(error: BaseException) -> str:
    """What went wrong, in one line; with the nearest known name where an option does not exist."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(error.missing_cfg_file, error.options)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    text = one_sentence(error)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return text
    for pattern, sentence in _HYDRAS:
        if match := re.search(pattern, text):
            return sentence(match, error)
    if isinstance(error, OmegaConfBaseException):
        return _of_value(error)
    if not str(error) and error.__cause__ is not None:
        return plain_sentence(error.__cause__)
    return f"the config cannot be composed: {text}"


def _missing(file: str, options: object) -> str:
    if file in PLUGINS:
        typed, how = PLUGINS[file]
        return f"{typed} needs a Hydra plugin that is not installed: {how}"
    group, _, name = file.rpartition("/")
    if not group:
        known = sorted(path.stem for path in conf_directory().glob("*.yaml"))
        return f"there is no config {name}" + did_you_mean(name, known)
    if not isinstance(options, list) or not options:
        options = sorted(path.stem for path in (conf_directory() / group).glob("*.yaml"))
    return f"there is no {group}={name}" + did_you_mean(
        name, options, spelled(group, "") if group in ADDED else ""
    )


def _unreadable(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override!r} is not of the form KEY=VALUE"
    quoted = f'{key}="{value}"'
    try:
        OverridesParser.create().parse_override(quoted)
    except HydraException:
        return f"{key!r} cannot be the key of a KEY=VALUE"
    return f"{override} cannot be parsed; special characters need quotes: '{quoted}'"


def _of_value(error: OmegaConfBaseException) -> str:
    """A value that OmegaConf cannot convert, or a reference in it that leads nowhere."""
    first = (str(error.msg or error).splitlines() or [type(error).__name__])[0].rstrip(".")
    key = error.full_key
    return f"{key}: {first[:1].lower()}{first[1:]}" if key else f"the config is faulty: {first}"


def _merge_error(match: re.Match[str], error: BaseException) -> str:
    cause = error.__cause__
    why = one_sentence(cause).partition(" full_key:")[0] if cause is not None else "it does not fit"
    return f"{match[1]} is refused: {why[:1].lower()}{why[1:]}"


# Sentences of Hydra's (and OmegaConf's), and ours.
_HYDRAS: tuple[tuple[str, Callable[[re.Match[str], BaseException], str]], ...] = (
    (
        r"Could not override '(.*?)'\. (?:Did you mean .*|No match in the defaults list.*)$",
        lambda match, _: (
            f"nothing that was chosen has a part {match[1]}; a further part is added with +{match[1]}=..."
        ),
    ),
    (
        r"^Could not override '(.*?)'\. To append to your config use (.*)$",
        lambda match, _: f"there is no config key {match[1]}; a new one is added with {match[2]}",
    ),
    (
        r"^Could not append to config\. An item is already at '(.*?)'\. Either remove \+ prefix: '(.*?)' Or",
        lambda match, _: f"{match[1]} has a value already; without +: {match[2]}",
    ),
    (
        r"^Could not delete from config\. The value of '(.*?)' is (.*) and not (.*)\.$",
        lambda match, _: (
            f"{match[1]} is {match[2]}, so ~{match[1]}={match[3]} has nothing to remove"
        ),
    ),
    (
        r"^Could not delete from config\. '(.*?)' does not exist\.$",
        lambda match, _: f"there is no config key {match[1]}, so ~{match[1]} has nothing to remove",
    ),
    (
        r"^Could not delete '(.*?)'\. No match in the defaults list$",
        lambda match, _: f"{match[1]} was not chosen, so ~{match[1]} has nothing to remove",
    ),
    (
        r"^Multiple values for (.*?)\. To override",
        lambda match, _: f"{match[1]} is chosen more than once; choose it once, as {match[1]}=NAME",
    ),
    (r"^Error merging override (.*)$", _merge_error),
    (
        r"^Interpolation key '(.*?)' not found",
        lambda match, error: (
            f"{getattr(error, 'full_key', None) or 'a value'} refers to ${{{match[1]}}}, which the config "
            "does not have"
        ),
    ),
    (
        r"Environment variable '(.*?)' not found",
        lambda match, error: (
            f"{getattr(error, 'full_key', None) or 'a value'} refers to the environment variable "
            f"{match[1]}, which is not set"
        ),
    ),
    (
        r"^\w+ raised while resolving interpolation: (.*?)(?: full_key: |$)",
        lambda match, error: (
            f"{getattr(error, 'full_key', None) or 'a value'} cannot be resolved: {match[1]}"
        ),
    ),
    (
        r"^Additional config directory '(.*?)' not found",
        lambda match, _: f"--config-dir={match[1]} is not a directory",
    ),
    (
        r"^Primary config (?:directory|module)(?: '.*?')? not found\. .*?'(.*?)'",
        lambda match, _: f"--config-path={match[1]} is not a directory that can be read",
    ),
)
