"""Composed configs: where conf/ lies, what may stand in them, and how they become objects.

The constructors' signatures are the schema: names, types and ranges stand there and nowhere else.
"""

import difflib
import inspect
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, TypeAdapter, ValidationError

from qa_research.run.settings import Settings

# The argument that makes a section one of recorders.
RECORDERS = "recorders"
_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)


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


def check_section(name: str, section: Mapping[str, Any]) -> None:
    """Refuse keys and values that the constructor of a section's `_target_` does not take.

    A section of recorders has parts, which are sections of their own, under any name.
    """
    target = _target(name, section)
    arguments = _arguments(target)
    for key, value in section.items():
        if key == "_target_":
            continue
        if RECORDERS in arguments and is_part(value) and key not in arguments:
            check_section(f"{name}.{key}", value)
            continue
        if key not in arguments or key == RECORDERS:
            raise ValueError(unknown_key(str(key), f"{name}.", arguments))
        _check_value(f"{name}.{key}", value, arguments[key])


def is_part(value: Any) -> bool:
    """Whether a value of a section describes an object itself."""
    return isinstance(value, Mapping) and "_target_" in value


def build_capture(section: Mapping[str, Any]) -> Any:
    """The object of a section of recorders, with the recorders that its parts describe, by name."""
    parts = {key: build(value) for key, value in section.items() if is_part(value)}
    own = {key: value for key, value in section.items() if key not in parts}
    return build(own, recorders=parts)


def build(section: Mapping[str, Any], **extra: Any) -> Any:
    """The object that a section describes; its constructor's own errors come through unwrapped."""
    try:
        return hydra.utils.instantiate(dict(section), **extra, _convert_="all")
    except InstantiationException as error:
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise


def unknown_key(key: str, prefix: str, known: Iterable[str]) -> str:
    """A sentence that refuses a key and offers the nearest known one."""
    return f"there is no config key {prefix}{key}" + suggestion(key, known, prefix)


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """`; did you mean ...?`, or what is known where nothing is near."""
    names = sorted(set(known) - {"_target_"})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    return f"; known: {', '.join(prefix + n for n in names)}"


def _target(name: str, section: Mapping[str, Any]) -> type:
    try:
        return hydra.utils.get_class(section["_target_"])
    except ImportError as error:
        raise ValueError(
            f"{name}._target_={section['_target_']} cannot be imported: {error}"
        ) from error


def _arguments(target: type) -> dict[str, Any]:
    """The constructor's arguments and their types, through `**settings` up to the base class."""
    arguments: dict[str, Any] = {}
    for cls in target.__mro__:
        if cls is object or "__init__" not in vars(cls):
            continue
        constructor = vars(cls)["__init__"]
        hints = typing.get_type_hints(constructor, include_extras=True)
        parameters = inspect.signature(constructor).parameters
        for name, parameter in parameters.items():
            if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                arguments.setdefault(name, hints.get(name, Any))
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    return arguments


def _check_value(path: str, value: Any, expected: Any) -> None:
    try:
        TypeAdapter(expected, config=_STRICT).validate_python(value)
    except ValidationError as error:
        wishes = dict.fromkeys(
            e["msg"]
            .removeprefix("Input should be ")
            .replace("greater than or equal to", "at least")
            for e in error.errors()
            if e["type"] != "is_instance_of"
        )
        raise ValueError(f"{path} must be {' or '.join(wishes)}, got {value!r}") from error
