import difflib
import inspect
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import hydra
import hydra.utils
from hydra.errors import InstantiationException
from pydantic import ConfigDict, TypeAdapter, ValidationError

# The argument that makes a section one of recorders.
RECORDERS = "recorders"
_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)


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
