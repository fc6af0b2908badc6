"""From a section of a config to the object it describes.

The constructors' signatures are the schema: names, types and ranges are stated there and nowhere else.
Composing a config from files and overrides is in launch/compose.py.

A config may be somebody else's, as that of a run's directory is: it is data, and names no code of its own. A
section's `_target_` is one of the classes that conf/ names for that section, or one that the user's command
line names: in the config that it composes, or by a module in the environment variable QA_RESEARCH_ALLOW.
"""

import functools
import importlib
import inspect
import os
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from qa_research.text import did_you_mean, shown_value

# A class whose constructor has this argument is described by a section with parts, one per recorder.
RECORDERS = "recorders"
# No number of a config is infinite or not a number.
_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
# Modules whose classes a config may name, separated by commas: `QA_RESEARCH_ALLOW=mine.tasks,other`.
ALLOW = "QA_RESEARCH_ALLOW"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
# Sections and classes that this process's own command line has composed.
_named: set[tuple[str, str]] = set()


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
    parts = {
        key: build(f"capture.{key}", value) for key, value in section.items() if is_part(value)
    }
    own = {key: value for key, value in section.items() if key not in parts}
    return build("capture", own, recorders=parts)


def build(name: str, section: Mapping[str, Any], **extra: Any) -> Any:
    """The object that the section called `name` describes; `extra`: arguments that only code can pass.

    Raises:
        ValueError: its class may not stand there, a key is unknown or missing, or a value is out of range.
    """
    target = class_of(name, section)
    if reserved := sorted(section.keys() & extra.keys()):
        raise ValueError(f"{name}.{reserved[0]} is set by qa_research, not by a config")
    check_section(name, section)
    check_complete(name, section, extra)
    arguments = {key: value for key, value in section.items() if key != "_target_"}
    return target(**arguments, **extra)


def check_complete(name: str, section: Mapping[str, Any], given: Iterable[str] = ()) -> None:
    """Raise ValueError if a section lacks a key that its class needs and code does not give."""
    if missing := missing_keys(name, section, given):
        raise ValueError(f"{name} has no key {missing[0]}")


def missing_keys(name: str, section: Mapping[str, Any], given: Iterable[str] = ()) -> list[str]:
    """The keys that a section's class needs, and that neither the section nor code (`given`) has."""
    if "_target_" not in section:
        return ["_target_"]
    needed = constructor_arguments(class_of(name, section), only_needed=True)
    return [key for key in needed if key not in section and key not in {*given}]


def unknown_key(key: str, prefix: str, known: Iterable[str]) -> str:
    """A sentence that refuses a key and offers the closest known one."""
    hint = did_you_mean(key, set(known) - {"_target_"}, prefix)
    return f"there is no config key {prefix}{key}{hint}"


def class_of(name: str, section: object) -> type:
    """The class that a section called `name` describes.

    Raises:
        ValueError: none of those that may stand there (nothing has been imported then), or it cannot be
            imported.
    """
    if not isinstance(section, Mapping) or "_target_" not in section:
        raise ValueError(f"{name} must be a section with a _target_, got {shown_value(section)}")
    path = section["_target_"]
    if not isinstance(path, str):
        raise ValueError(f"{name}._target_ must be the name of a class, got {path!r}")
    _check_allowed(name, path)
    module, _, cls = path.rpartition(".")
    try:
        target = getattr(importlib.import_module(module), cls)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name}._target_={path} cannot be imported: {error}") from error
    if not isinstance(target, type):
        raise ValueError(f"{name}._target_={path} is not a class")
    if not _is_allowed(name, path, target.__module__):
        raise ValueError(
            f"{name}._target_={path} is a class of {target.__module__}, which {ALLOW} does not name"
        )
    return target


def allow_classes(config: Mapping[str, Any]) -> None:
    """Let this process use the classes of a config that the user's own command line composed."""
    _named.update(_targets("", config))


@functools.cache
def shipped_classes() -> Mapping[str, frozenset[str]]:
    """The classes that conf/ names, by section: `{"model": {"qa_research...QuestionAnswering"}, ...}`.

    A folder of conf/ is a section; a file beside the folders has a section for each of its keys.
    """
    found: dict[str, set[str]] = {}
    root = conf_directory()
    for file in sorted(root.rglob("*.yaml")):
        # The parser in C takes a tenth of the time.
        content = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
        folder = file.relative_to(root).parts[0] if file.parent != root else ""
        for section, path in _targets(folder, content):
            found.setdefault(section, set()).add(path)
    return {section: frozenset(paths) for section, paths in found.items()}


def is_shipped(name: str, path: Any) -> bool:
    """Whether conf/ names this class for the section called `name`."""
    section = name.partition(".")[0]
    return isinstance(path, str) and path in shipped_classes().get(section, ())


def has_only_shipped_classes(config: Mapping[str, Any]) -> bool:
    """Whether conf/ names every class that a config names, so that no code from elsewhere is used."""
    return all(is_shipped(section, path) for section, path in _targets("", config))


def conf_directory() -> Path:
    """The folder of configs: in the installed package, or next to src/ in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"conf/ is neither in {package} nor in {package.parents[1]}")


def _targets(section: str, content: Any) -> Iterator[tuple[str, str]]:
    """Each `_target_` at any depth, with the section it is in; without one, a key is a section."""
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == "_target_":
            yield section, str(value)
        else:
            yield from _targets(section or str(key), value)


def _check_allowed(name: str, path: str) -> None:
    module = path.rpartition(".")[0]
    if not _is_allowed(name, path, module):
        known = sorted(shipped_classes().get(name.partition(".")[0], ()))
        raise ValueError(
            f"{name}._target_={path} is none of the classes that may stand there "
            f"({', '.join(known) or 'there are none'}); code from elsewhere runs only if your command line "
            f"names its module: {ALLOW}={module or 'MODULE'} qa-research ..."
        )


def _is_allowed(name: str, path: str, module: str) -> bool:
    """Whether a section may name the class `path`; `module`: where that is defined, as far as is known."""
    if is_shipped(name, path) or (name.partition(".")[0], path) in _named:
        return True
    allowed = [word.strip() for word in os.environ.get(ALLOW, "").split(",")]
    return any(word and f"{module}.".startswith(f"{word}.") for word in allowed)


def constructor_arguments(target: type, only_needed: bool = False) -> dict[str, Any]:
    """The constructor's arguments and their types, including those that `**settings` passes to a base class.

    Example: FileData(train_path, validation_path, **settings) has these two and all of QuestionData's.
    `only_needed`: those without a default.
    """
    arguments: dict[str, Any] = {}
    for cls in target.__mro__:
        if cls is object or "__init__" not in vars(cls):
            continue
        constructor = vars(cls)["__init__"]
        hints = typing.get_type_hints(constructor, include_extras=True)
        parameters = inspect.signature(constructor).parameters
        for name, parameter in parameters.items():
            has_default = parameter.default is not inspect.Parameter.empty
            is_key = name != "self" and parameter.kind not in _VARIABLE
            if is_key and not (only_needed and has_default):
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
        raise ValueError(
            f"{path} must be {' or '.join(allowed) or 'of another type'}, got {shown_value(value)}"
        ) from error


def first_fault(error: ValidationError) -> str:
    """`has no id`, or `has steps='x': should be a valid integer`; in a list also `in row 3`."""
    fault = error.errors()[0]
    where = fault["loc"]
    row = f"in row {where[0]} " if where and isinstance(where[0], int) else ""
    key = ".".join(str(part) for part in (where[1:] if row else where))
    if fault["type"] == "missing":
        return f"has {row}no {key}"
    what = fault["msg"].removeprefix("Input ").removeprefix("Value error, ")
    what = f"{what[:1].lower()}{what[1:]}"
    if fault["type"] == "dataclass_type":
        what = "should be an object"
    if not where and fault["type"] == "dict_type":
        return "does not hold keys with values"
    if not key:
        return f"has {row}{shown_value(fault['input'])}: {what}"
    return f"has {row}{key}={shown_value(fault['input'])}: {what}"
