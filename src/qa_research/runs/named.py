"""What RUN names: a run, or a model that was trained elsewhere, as a directory or a hub id."""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from qa_research.files import read_json, write_text
from qa_research.ledger.runs import LEDGER
from qa_research.model.folder import (
    ChosenWeights,
    ModelFolder,
    check_model,
    check_tokenizer,
    looks_like_a_model,
    what_it_is,
)
from qa_research.runs.directory import run_name
from qa_research.runs.missing import near_model
from qa_research.runs.store import find, ledger_for

# Where what is found out about models goes that were trained elsewhere, in the folder of runs.
MODELS = "models"
# There, in the folder of one: its name and its directory, so that the name can be given as RUN.
_PLACE = "model.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedModel:
    """A run (`is_run`) or a Hugging Face directory, found but not opened.

    `typed`: as the user names it. `name`: as messages and the ledger do: the last two folders, or the hub id.
    `identity`: what no other has, of a model that was trained elsewhere.
    `results`: where what is found out about it goes: the run itself; a model that was trained elsewhere is
    never written into, so for one it is a folder of its own among the runs.
    """

    directory: Path
    typed: str
    name: str
    identity: str
    is_run: bool
    results: Path
    ledger: Path

    @property
    def shown(self) -> str:
        """Its name in a line: of a run without its study."""
        return self.directory.name if self.is_run else self.name

    @property
    def folder(self) -> ModelFolder:
        """The directory of a model that was trained elsewhere."""
        return ModelFolder(self.directory, self.typed)

    def chosen_weights(self, checkpoint: str) -> ChosenWeights:
        """The weights that `--checkpoint` names, of a model that was trained elsewhere, after quick checks.

        Raises:
            FileNotFoundError, ValueError: there are none, or they cannot be asked.
        """
        weights = self.folder.chosen(checkpoint)
        check_model(weights.directory, weights.typed)
        check_tokenizer(weights.directory, weights.typed)
        return weights

    def all_checkpoints(self) -> list[str]:
        """The checkpoints that form a curve over its training.

        Raises:
            ValueError: there are none.
        """
        if not self.is_run:
            return self.folder.all_chosen()
        from qa_research.runs.checkpoints import kept_steps

        return kept_steps(self.directory)

    def check_has_questions(self, are_named: bool) -> None:
        """Refuse to ask a model that was trained elsewhere its own questions, unless others are named.

        Raises:
            ValueError: it brings none.
        """
        if not self.is_run and not are_named:
            raise ValueError(
                f"{self.typed} is a model without questions of its own; name some with --data FILE"
            )


def find_model(typed: str, runs: Path) -> NamedModel:
    """What the user calls `typed`: a run's directory or name, a model's directory or name, or a hub id.

    A hub id that is not in this machine's cache is downloaded.

    Raises:
        FileNotFoundError: there is nothing of that name; the message says what a directory holds instead.
        ValueError: several runs or models match, or it is `package:` without a name.
    """
    path = Path(typed).expanduser()
    is_run = (path / "run.json").is_file()
    if typed.strip() and not is_run and path.is_dir() and looks_like_a_model(path):
        return _of_directory(path, typed, runs)
    if typed.startswith("package:"):
        from qa_research.model.weights import locate

        return _of_directory(Path(locate(typed, "RUN")), typed, runs)
    try:
        directory = find(typed, runs)
    except FileNotFoundError:
        if path.is_dir():
            raise FileNotFoundError(what_it_is(path, typed)) from None
        if known := _known_directory(typed, runs):
            return _of_directory(known, str(known), runs)
        if _may_be_a_hub_id(typed, runs):
            return _of_hub(typed, runs)
        raise
    name = run_name(Path(os.path.abspath(directory)))
    return NamedModel(directory, typed, name, "", True, directory, ledger_for(directory, runs))


def remember(typed: str, runs: Path) -> None:
    """Keep where a model's directory is that results name by its last two folders: RUN may be that name.

    Nothing is kept of a run, or of a model of the hub, whose name is found without. A folder that cannot be
    written into costs the name only, not what was found out: that is said.
    """
    path = Path(typed).expanduser()
    if not path.is_dir() or (path / "run.json").is_file():
        return
    model = _of_directory(path, typed, runs)
    place = {"name": model.name, "directory": str(model_place(path))}
    try:
        model.results.mkdir(parents=True, exist_ok=True)
        write_text(model.results / _PLACE, json.dumps(place, indent=2) + "\n")
    except OSError as error:
        log.warning("%s is not known by its name, only by its path (%s)", model.name, error)


def _known_directory(name: str, runs: Path) -> Path | None:
    """The directory of the model that results call `name`; None: no results do.

    Raises:
        FileNotFoundError: it is no longer there.
        ValueError: several have this name.
    """
    called = []
    for path in sorted(runs.expanduser().glob(f"{MODELS}/*/{_PLACE}")):
        place = read_json(path)
        if not isinstance(place, dict) or not isinstance(place.get("directory"), str):
            raise ValueError(f"{path} names no directory; remove it, and give models by their path")
        if place.get("name") == name:
            called.append(Path(place["directory"]))
    there = [path for path in called if path.is_dir()]
    if len(there) > 1:
        raise ValueError(f"{name!r} may be {' or '.join(map(str, there))}; give the one you mean")
    if called and not there:
        raise FileNotFoundError(f"{name} was {called[0]}, which is no longer there")
    return there[0] if there else None


def model_place(path: Path) -> Path:
    """The directory of a model, with all symbolic links resolved; of a checkpoint, that of its model."""
    place = path.resolve()
    # One step of the model above it.
    return place.parent if place.name.startswith("checkpoint-") else place


def _of_directory(path: Path, typed: str, runs: Path) -> NamedModel:
    place = model_place(path)
    identity = f"directory {place}"
    name = run_name(place)
    folder = f"{name.replace('/', '--')}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    return _foreign(path, typed, name, identity, folder, runs)


def _of_hub(typed: str, runs: Path) -> NamedModel:
    from qa_research.model.hub import fetched_model

    return _foreign(
        fetched_model(typed), typed, typed, f"hub {typed}", typed.replace("/", "--"), runs
    )


def _foreign(
    directory: Path, typed: str, name: str, identity: str, folder: str, runs: Path
) -> NamedModel:
    place = Path(os.path.abspath(runs.expanduser()))
    results = place / MODELS / folder
    return NamedModel(directory, typed, name, identity, False, results, place / LEDGER)


def _may_be_a_hub_id(typed: str, runs: Path) -> bool:
    """Whether to look for `typed` on the hub: `owner/name`, or a name alone that is in the cache.

    Not what looks like a path, or nearly is one, or like the name of a run of a study that is there: a typing
    error must not ask the hub.
    """
    from qa_research.model.hub import HUB_ID, cached_model

    if typed.startswith((".", "~")) or not HUB_ID.fullmatch(typed):
        return False
    owner, slash, _ = typed.partition("/")
    if not slash:
        return cached_model(typed) is not None
    if near_model(typed) and cached_model(typed) is None:
        return False
    return not (Path(owner).exists() or (runs.expanduser() / owner).exists())
