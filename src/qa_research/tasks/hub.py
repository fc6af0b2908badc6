"""Data sets by their splits: from the Hugging Face hub, or from a directory, whatever their rows are of.

A directory may be what `save_to_disk` wrote, or have the hub's layout: a file or several for each split.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_research.model.weights import first_line

log = logging.getLogger(__name__)
# Words in file names, as the hub reads them.
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
TEXT_FILES = (".json", ".jsonl", ".csv", ".tsv", ".json.gz", ".jsonl.gz", ".csv.gz", ".tsv.gz")
METADATA = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")
ONE_SPLIT = "all"


def files_by_split(directory: Path, endings: Sequence[str] = TEXT_FILES) -> dict[str, list[Path]]:
    """The files with one of these endings of a directory, by the split that their names say.

    Nothing if there is a file whose name says none: then `datasets` decides what belongs to what.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    if any(path.suffix in (".arrow", ".parquet") for path in files):
        return {}
    found: dict[str, list[Path]] = {}
    for path in files:
        if path.name in METADATA or path.name.startswith("."):
            continue
        if not path.name.lower().endswith(tuple(endings)):
            continue
        split = _split_of(path.relative_to(directory))
        if split is None:
            return {}
        found.setdefault(split, []).append(path)
    return {split: found[split] for split in SPLIT_WORDS if split in found}


def _split_of(path: Path) -> str | None:
    """The split that a file's name says, or else its folders' names.

    >>> _split_of(Path("data/dev-v2.0.json")), _split_of(Path("train/0001.csv")), _split_of(Path("a.csv"))
    ('validation', 'train', None)
    """
    for part in (path.name, *reversed(path.parent.parts)):
        words = "".join(letter if letter.isalnum() else " " for letter in part.lower()).split()
        for split, names in SPLIT_WORDS.items():
            if set(names) & set(words):
                return split
    return None


def fetched(
    dataset: str, revision: str | None, name: str, expected: str, otherwise: str, subset: str | None
) -> Mapping[str, Any]:
    """The splits of a data set by name, each a sequence of rows.

    `dataset`: a hub id, of which `subset` names one configuration (None: its only one), or a directory.
    `name`: what the user calls it, such as `--data=squad`. `expected`: what a directory should have held,
    and `otherwise`: what works offline, as sentences.

    Raises:
        FileNotFoundError: the hub cannot be reached, or has no such data set.
        ValueError: the directory is not in the hub's layout, or the data set needs code of its own.
    """
    import datasets

    datasets.disable_progress_bars()
    is_directory = Path(dataset).is_dir()
    if not is_directory:
        log.info("Asking the hub for %s (offline, this takes half a minute to fail)", dataset)
    try:
        if is_directory and (Path(dataset) / "dataset_dict.json").is_file():
            tables: Mapping[str, Any] = datasets.DatasetDict.load_from_disk(dataset)
        elif is_directory and (Path(dataset) / "state.json").is_file():
            tables = {ONE_SPLIT: datasets.Dataset.load_from_disk(dataset)}
        else:
            tables = datasets.load_dataset(dataset, subset, revision=revision)
        return tables
    except Exception as error:
        # What `datasets` raises of a directory depends on which of its many files is wrong.
        known = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
        if not is_directory and not isinstance(error, known):
            raise
        if isinstance(error, RuntimeError) and "script" in str(error):
            raise ValueError(
                f"{name} comes with a loading script, and code that comes with data is never run; give its "
                "files by their own paths"
            ) from error
        if is_directory:
            raise ValueError(
                f"{name} is not a directory in the hub's layout ({first_line(error)}); {expected}"
            ) from error
        raise FileNotFoundError(
            f"{name} could not be fetched ({first_line(error)}). {otherwise}"
        ) from error
