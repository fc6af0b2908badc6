"""Trainings that go on from another run's state of a step, with something changed (a fork) or not."""

import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from qa_research.config import check_section, conf_directory, unknown_key
from qa_research.files import ids_named
from qa_research.launch.compose import default_config
from qa_research.launch.refusals import plain_sentence
from qa_research.launch.resume import add_missing, check_whole
from qa_research.plain import parse_yaml
from qa_research.runs.anchors import anchor_file, anchors_of, nearest_anchor
from qa_research.runs.directory import (
    check_unedited,
    find_run,
    is_held,
    no_weights,
    read_config,
    read_record,
    run_name,
)
from qa_research.runs.forks import FORK, section_of
from qa_research.runs.machine import changed_versions
from qa_research.tasks.earlier_configs import new_spelling
from qa_research.text import did_you_mean, names_in

log = logging.getLogger(__name__)
# Keys of a fork that are those of its origin, or its own.
FIXED = ("paths.runs", "train.resume", "task", FORK)
# Where in a run's folder trainings of its steps again are kept.
REPLAYS = "replays"
# What says how far a training is.
PROGRESS = "qa_research.training.progress"


# How many similar examples are left out if nobody says.
SIMILAR = 20


@dataclass(frozen=True)
class Similar:
    """The `count` training examples whose text is most like that of the example `to`; see `similar_to`."""

    to: str
    count: int = SIMILAR


def similar_in(to: str | None, count: int | None) -> Similar | None:
    """What --similar-to and --similar ask for.

    Raises:
        ValueError: how many, and not to what.
    """
    if to is None:
        if count is not None:
            raise ValueError(
                "--similar says how many examples are left out, and --similar-to ID which"
            )
        return None
    return Similar(to, SIMILAR if count is None else count)


@dataclass(frozen=True)
class ForkEdits:
    """What a fork changes of the training examples: see `tasks.left_out.Edits`.

    `without` and `only`: ids, with commas between them, or files with one on each line; none: all are trained
    on. `relabel`: `ID=ANSWER`. `similar`: others that are left out, too; `named` finds them.
    """

    without: Sequence[str] = ()
    only: Sequence[str] = ()
    holes: str | None = None
    relabel: Sequence[str] = ()
    similar: Similar | None = None

    def named(self, directory: Path) -> "ForkEdits":
        """The same with the ids of similar examples of a run.

        Raises:
            FileNotFoundError, ValueError: there is no such example, or they have changed.
        """
        if self.similar is None:
            return self
        # It would import torch, which other forks need later.
        from qa_research.interventions.influence.similar import similar_to
        from qa_research.runs.open import open_run

        found = similar_to(open_run(directory), self.similar.to, self.similar.count)
        log.info("Without %s", ", ".join(found))
        return replace(self, without=(*self.without, *found), similar=None)

    def apply(self, data: dict[str, Any]) -> None:
        """Set them in the section `data` of a config.

        Raises:
            FileNotFoundError, ValueError: a file that is not there, or what is not of the form ID=ANSWER.
        """
        changed: dict[str, Any] = {}
        if self.without:
            changed["without"] = ids_named(self.without, "--without")
        if self.only:
            changed["only"] = ids_named(self.only, "--only")
        if self.holes:
            changed["holes"] = self.holes
        if self.relabel:
            changed["relabel"] = dict(map(_relabelled, self.relabel))
        if changed and "without" not in data:
            raise ValueError(
                "the data of this run's task know no single examples to leave out or change"
            )
        data |= changed


@dataclass(frozen=True)
class Silenced:
    """Parts that are silent from a fork on; see `training.silencing`. `until`: None: to the end."""

    parts: Sequence[str] = ()
    until: int | None = None
    how: str | None = None

    def apply(self, train: dict[str, Any], since: int) -> None:
        """Set them in the section `train` of a config."""
        if not self.parts:
            if self.until is not None or self.how is not None:
                raise ValueError(
                    "--until and --with say when and how parts are silent, and --silence which"
                )
            return
        train |= {
            "silence": names_in(self.parts),
            "silence_since": since,
            "silence_until": self.until,
            "silence_with": self.how,
        }


def _relabelled(word: str) -> tuple[str, Any]:
    example, equals, answer = word.partition("=")
    if not equals or not example:
        raise ValueError(f"--relabel {word:.60} is not of the form ID=ANSWER")
    return example, parse_yaml(answer, f"--relabel {example}") if _is_number(answer) else answer


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+(\.\d+)?", text))


def fork(
    run: str,
    step: int,
    overrides: Sequence[str],
    edits: ForkEdits,
    silenced: Silenced,
    runs: Path,
    from_start: bool,
    anyway: bool,
) -> float:
    """Go on from a run's state at the end of `step` with something changed; the fork's best score.

    `overrides`: `key=value`, or `group=name` for a section of conf/. Where the state of that step was not
    kept, the steps before it are trained again from the nearest earlier one; `from_start`: or from the
    beginning. `anyway`: although versions or the machine have changed.

    Raises:
        FileNotFoundError, ValueError: no such run, no state near that step, or an override that cannot be.
    """
    directory = find_run(run, runs)
    record = parent_record(directory, anyway)
    check_step(record, step)
    config = forked_config(directory, overrides)
    silenced.apply(config["train"], step)
    # Last, as similar examples are found in texts that have to be read.
    edits.named(directory).apply(config["data"])
    check_sections(config)
    from qa_research.training.setup import set_up
    from qa_research.training.story import train

    config[FORK] = section_of(directory, record, step)
    if not has_anchor(directory, step):
        # What cannot be done is said before steps are trained for it.
        setup = set_up(config)
        setup.prepare()
        ensure_anchor(directory, record, step, from_start)
    return train(config)


def forked_config(directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The config of a run with other values of its keys, checked, for a run of its own beside it.

    Raises:
        ValueError: a key that nobody knows, or a value that is not fit.
    """
    plain = parent_config(directory)
    plain["study"] = directory.parent.name
    plain["paths"]["runs"] = str(directory.resolve().parent.parent)
    plain["train"]["resume"] = "auto"
    for override in overrides:
        _change(plain, override)
    check_sections(plain)
    return plain


def parent_config(directory: Path) -> dict[str, Any]:
    """The config of a run, whole, with today's keys, without what makes it a fork."""
    plain = read_config(directory)
    check_unedited(directory, plain, read_record(directory) or {})
    add_missing(plain, directory)
    check_whole(plain, directory / "config.yaml")
    plain.pop(FORK, None)
    return plain


def check_sections(plain: Mapping[str, Any]) -> None:
    """Refuse a config with a key or value that its section's class does not accept.

    Raises:
        ValueError: the key.
    """
    for name, section in plain.items():
        if isinstance(section, dict) and "_target_" in section:
            check_section(name, section)


def _change(plain: dict[str, Any], override: str) -> None:
    """Set what `key=value` or `group=name` says."""
    key, equals, value = override.partition("=")
    if sentence := new_spelling(override):
        raise ValueError(sentence)
    if not equals:
        raise ValueError(f"{override!r} is not of the form KEY=VALUE")
    if any(key == fixed or key.startswith(f"{fixed}.") for fixed in FIXED):
        raise ValueError(f"{key} cannot be changed in a fork, which stays beside its run")
    if (conf_directory() / key).is_dir() and "." not in key:
        plain[key] = _section(key, value)
        return
    section, _, name = key.partition(".")
    if section not in plain:
        raise ValueError(unknown_key(section, "", plain))
    parsed = _value(override)
    if not name:
        if isinstance(plain[section], dict):
            raise ValueError(f"{key} is a section; change one of its keys: {key}.KEY=VALUE")
        plain[section] = parsed
        return
    place = plain[section]
    *parts, last = name.split(".")
    for part in parts:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        known = place if isinstance(place, dict) else ()
        raise ValueError(unknown_key(last, key.removesuffix(last), known))
    place[last] = parsed


def _value(override: str) -> Any:
    """What `key=value` sets, read as Hydra reads it: 1e-3 is a number, [1, 2] a list."""
    try:
        return OverridesParser.create().parse_override(override).value()
    except HydraException as error:
        raise ValueError(f"{override:.200} cannot be read: {plain_sentence(error)}") from error


def _section(group: str, name: str) -> Any:
    """The section of conf/ that a group's choice describes."""
    known = sorted(
        str(file.relative_to(conf_directory() / group).with_suffix(""))
        for file in (conf_directory() / group).rglob("*.yaml")
    )
    if name not in known:
        raise ValueError(f"there is no {group}={name}{did_you_mean(name, known)}")
    return default_config(overrides=[f"{group}={name}"])[group]


def parent_record(directory: Path, anyway: bool) -> dict[str, Any]:
    """The run.json of a run that is to be trained again, in part.

    Raises:
        ValueError: it is being trained, has no weights, or was made by something else and `anyway` is false.
    """
    record = read_record(directory) or {}
    if is_held(directory):
        raise ValueError(f"{run_name(directory)} is being trained now; wait for its end")
    if sentence := no_weights(directory):
        raise ValueError(sentence)
    threads = read_config(directory).get("train", {}).get("threads")
    if changed := changed_versions(record, threads):
        sentence = (
            f"what trained {run_name(directory)} has changed since, so training its steps again need not be "
            f"exact: {changed}"
        )
        if not anyway:
            raise ValueError(f"{sentence}; --anyway runs it nevertheless")
        log.warning("%s", sentence[0].upper() + sentence[1:])
    return record


def check_step(record: Mapping[str, Any], step: int, option: str = "--at") -> None:
    """Refuse a step that a run has not reached, or that a fork shares with the run that it is of.

    Raises:
        ValueError: the step, and which the run has.
    """
    first = begins_at(record)
    if not first <= step <= record["steps"]:
        before = f" (until then it is {record['fork']['run']})" if first else ""
        raise ValueError(
            f"{option} {step} is not one of this run's steps, {first} to {record['steps']}{before}"
        )


def begins_at(record: Mapping[str, Any]) -> int:
    """The step after which a run's own training begins: that of the fork, or 0."""
    fork = record.get("fork")
    return int(fork["step"]) if fork else 0


def has_anchor(directory: Path, step: int) -> bool:
    """Whether a run has kept its state of this step."""
    anchor = nearest_anchor(directory, step)
    return anchor is not None and anchor.step == step


def ensure_anchor(directory: Path, record: Mapping[str, Any], step: int, from_start: bool) -> None:
    """Have a run's state of a step in its folder, by training up to it again where it was not kept.

    Raises:
        ValueError: no earlier state was kept, and `from_start` is false; or what was trained again differs
            from weights that the run has kept.
    """
    if has_anchor(directory, step):
        return
    anchor = nearest_anchor(directory, step)
    first = anchor.step if anchor else 0
    if not anchor:
        check_from_start(directory, record, step, from_start)
    log.info("Training steps %d to %d again, for the state of step %d", first + 1, step, step)
    keeping = {"anchors_every_n_steps": step, "anchors_mb": None}
    # With its captures, whose state belongs to the whole one.
    capture = read_config(directory)["capture"]
    # These import torch, which is not needed where the state was kept.
    from qa_research.interventions.replay.proof import Witness, kept_weights
    from qa_research.training.forking import handed_over

    witness = Witness(kept_weights(directory, first, step))
    again = train_again(
        directory, record, first, step, checkpoint=keeping, look=witness, capture=capture
    )
    if different := [proof.step for proof in witness.proofs if proof.difference]:
        shutil.rmtree(again)
        raise ValueError(
            f"trained again, {run_name(directory)} has other weights at step {different[0]} than it kept, "
            f"so its state of step {step} cannot be made here; name a step whose state was kept: "
            f"{kept_in_words(directory)}"
        )
    handed_over(anchor_file(again, step), anchor_file(directory, step), record["id"])
    shutil.rmtree(again)


def check_from_start(
    directory: Path,
    record: Mapping[str, Any],
    step: int,
    from_start: bool,
    until: int | None = None,
) -> None:
    """Refuse to train up to a step from the beginning unless that was asked for, and can be done.

    `until`: the last step that is trained then; None: `step`, whose state is kept.

    Raises:
        ValueError: it was not, or the run is a fork, which begins with a state.
    """
    if begins_at(record):
        raise ValueError(
            f"{run_name(directory)} is a fork, and the state that it begins with is not in its folder any "
            f"more; fork {record['fork']['run']} at step {record['fork']['step']} again"
        )
    if not from_start:
        raise ValueError(no_state_near(directory, record, step, until))


def no_state_near(directory: Path, record: Mapping[str, Any], step: int, until: int | None) -> str:
    """A sentence on what training from the beginning would take; see `check_from_start`."""
    last = step if until is None else until
    seconds = (record.get("train_s") or 0) * last / max(record["steps"], 1)
    keeps = ", and keeps that state" if until is None else ""
    return (
        f"{run_name(directory)} has no state of step {step} or before (kept: {kept_in_words(directory)}); "
        f"--from-start trains its first {last} steps again, about {seconds:.0f} s{keeps}; "
        "checkpoint.anchors_every_n_steps=N keeps states from the beginning"
    )


def kept_in_words(directory: Path) -> str:
    """The steps whose states a run has kept."""
    return ", ".join(str(anchor.step) for anchor in anchors_of(directory)) or "none"


def train_again(
    directory: Path,
    record: Mapping[str, Any],
    first: int,
    until: int,
    checkpoint: Mapping[str, Any],
    look: Any = None,
    capture: Any = None,
    name: str = "",
) -> Path:
    """Train steps of a run again, from its state of step `first` (0: from the beginning); their folder.

    It lies in the run's folder `replays`. `capture`: what is recorded, instead of nothing.
    """
    from qa_research.training.story import train_in

    plain = parent_config(directory)
    plain["capture"] = capture
    plain["checkpoint"] |= {"every_n_minutes": None, **checkpoint}
    plain["train"] |= {"until_step": until, "resume": "never"}
    plain["logger"] = default_config(overrides=["logger=csv"])["logger"]
    plain["paths"]["runs"] = str(directory.resolve().parent.parent)
    if first:
        plain[FORK] = section_of(directory, record, first)
    place = directory / REPLAYS / (name or f"{first:06d}-{until:06d}")
    if place.exists():
        shutil.rmtree(place)
    check_sections(plain)
    with _only_progress():
        train_in(place, plain, look)
    return place


@contextmanager
def _only_progress() -> Iterator[None]:
    """Show how far a training is and what it warns of, and not what it says of itself."""

    def matters(record: logging.LogRecord) -> bool:
        return record.name == PROGRESS or record.levelno >= logging.WARNING

    handlers = list(logging.getLogger("qa_research").handlers)
    for handler in handlers:
        handler.addFilter(matters)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(matters)
