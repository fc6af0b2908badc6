"""From a section of a config to the object it describes.

The constructors' signatures are the schema: names, types and ranges are stated there and nowhere else.
Composing a config from files and overrides is in launch/compose.py.
"""

import importlib
import inspect
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from qa_research.text import did_you_mean

# A class whose constructor has this argument is described by a section with parts, one per recorder.
RECORDERS = "recorders"
# No number of a config is infinite or not a number.
_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


def check_section(name: str, section: Mapping[str, Any]) -> None:
    """Refuse keys and values that the constructor of a section's `_target_` does not accept.

    A section of recorders has parts of any name, which are sections themselves.
    """
    target = class_of(name, section)
    arguments = constructor_arguments(target)
    for key, value in section.items():
        if key == "_target_":
            continue
        if RECORDERS in arguments and is_part(value) and key not in arguments:
            check_section(f"{name}.{key}", value)
            continue
        if key not in arguments or key == RECORDERS:
            raise ValueError(unknown_key(str(key), f"{name}.", arguments))
        check_value(f"{name}.{key}", value, arguments[key])


def is_part(value: Any) -> bool:
    """Whether a value in a section is itself a section that describes an object."""
    return isinstance(value, Mapping) and "_target_" in value


def build_capture(section: Mapping[str, Any]) -> Any:
    """The object that a section of recorders describes; it is passed those of the parts, by name."""
    parts = {key: build(value) for key, value in section.items() if is_part(value)}
    own = {key: value for key, value in section.items() if key not in parts}
    return build(own, recorders=parts)


def build(section: Mapping[str, Any], **extra: Any) -> Any:
    """The object that a section describes; `extra`: arguments that only code can pass."""
    arguments = {key: value for key, value in section.items() if key != "_target_"}
    return class_of("", section)(**arguments, **extra)


def unknown_key(key: str, prefix: str, known: Iterable[str]) -> str:
    """A sentence that refuses a key and offers the closest known one."""
    hint = did_you_mean(key, set(known) - {"_target_"}, prefix)
    return f"there is no config key {prefix}{key}{hint}"


def class_of(name: str, section: Mapping[str, Any]) -> type:
    """The class that a section called `name` describes.

    Raises:
        ValueError: it cannot be imported.
    """
    path = str(section["_target_"])
    module, _, cls = path.rpartition(".")
    try:
        target: type = getattr(importlib.import_module(module), cls)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name}._target_={path} cannot be imported: {error}") from error
    return target


def constructor_arguments(target: type) -> dict[str, Any]:
    """The constructor's arguments and their types, including those that `**settings` passes to a base class.

    Example: FileData(train_path, validation_path, **settings) has these two and all of QuestionData's.
    """
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


def check_value(path: str, value: Any, expected: Any) -> None:
    """Raise ValueError if a value is not of the `expected` type or out of its range."""
    try:
        TypeAdapter(expected, config=_STRICT).validate_python(value)
    except ValidationError as error:
        allowed = dict.fromkeys(
            e["msg"]
            .removeprefix("Input should be ")
            .replace("greater than or equal to", "at least")
            for e in error.errors()
            if e["type"] != "is_instance_of"
        )
        raise ValueError(f"{path} must be {' or '.join(allowed)}, got {value!r}") from error
