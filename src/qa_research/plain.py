"""Plain values, as JSON has them: read from YAML, and checked to be few and not nested deeply.

YAML from outside is read here, because its own readers end the process at some depths, follow aliases without
end, and make objects.
"""

from pathlib import Path
from typing import Any

from qa_research.files import read_text

# Of a file that describes something, such as a config: far more than any has.
MOST_LEVELS, MOST_VALUES = 50, 100_000


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, as `parse_yaml` reads it."""
    return parse_yaml(read_text(path, str(path)), str(path))


def parse_yaml(text: str, name: str) -> Any:
    """What a YAML text holds, as JSON's values; `name` begins the error. YAML from outside is read here.

    No tag makes an object. Aliases are followed, but not to more values than a file could hold.

    Raises:
        ValueError: it is not YAML, has values that JSON does not have, or too many or too deep ones.
    """
    import yaml

    try:
        check_extent(text, name)
        value = _constructed(text, name)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
        raise ValueError(f"{name} is not valid YAML: {reason}") from error
    check_plain(value, name)
    return value


def has_too_many_digits(error: ValueError) -> bool:
    """Whether Python refused to read an integer because of its length (thousands of digits)."""
    return "integer string conversion" in str(error)


def _constructed(text: str, name: str) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, loader)
    except ValueError as error:
        # Of Python's own constructors of integers and dates.
        reason = "it has thousands of digits" if has_too_many_digits(error) else str(error)
        raise ValueError(f"{name} has a number or date that cannot be read: {reason}") from error


def check_plain(value: Any, name: str, key: str = "", level: int = 0) -> None:
    """Raise ValueError unless `value` is JSON's, of few levels, and each integer has at most 64 bits.

    `name`: the file it is from; `key`: where in it, dotted.
    """
    if level > MOST_LEVELS:
        raise ValueError(f"{name} is nested too deeply: more than {MOST_LEVELS} levels")
    if isinstance(value, dict):
        for inner, content in value.items():
            if not isinstance(inner, str):
                raise ValueError(f"{name} has the key {inner!r:.60}, which is not text")
            check_plain(content, name, f"{key}.{inner}" if key else inner, level + 1)
    elif isinstance(value, list):
        for place, content in enumerate(value):
            check_plain(content, name, f"{key}.{place}" if key else str(place), level + 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} has an integer of more than 64 bits: {key or 'all of it'}")
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise ValueError(
            f"{name} has a {type(value).__name__}: {key or 'all of it'}; texts, numbers, true, false, null, "
            "lists and keys with values are read"
        )


def check_extent(text: str, name: str) -> None:
    """Raise ValueError if YAML is nested too deeply, or is too large once its aliases are followed.

    Example: `{a: &a [1, 2], b: [*a, *a]}` has 3 values in a and 7 in b, 13 with the keys and the whole.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    count = 0
    sizes: dict[str, int] = {}
    parts: list[tuple[str | None, int]] = []
    # One event after the other: libyaml's own composer would overflow the stack and end the process.
    for event in yaml.parse(text, loader):
        kind, anchor = type(event).__name__, getattr(event, "anchor", None)
        if kind == "AliasEvent":
            if anchor in [part for part, _ in parts]:
                raise ValueError(f"{name} has a value that contains itself: *{anchor}")
            # One that does not exist is refused when it is followed.
            count += sizes.get(anchor or "", 0)
        elif kind == "ScalarEvent":
            count += 1
            if anchor:
                sizes[anchor] = 1
        elif kind in ("SequenceStartEvent", "MappingStartEvent"):
            parts.append((anchor, count))
            count += 1
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            anchor, before = parts.pop()
            if anchor:
                sizes[anchor] = count - before
        if len(parts) > MOST_LEVELS:
            raise ValueError(f"{name} is nested too deeply: more than {MOST_LEVELS} levels")
        if count > MOST_VALUES:
            raise ValueError(f"{name} holds more than {MOST_VALUES:,} values, aliases followed")
