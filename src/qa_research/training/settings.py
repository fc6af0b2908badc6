"""The sections of a config that belong to the run itself, whatever its task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict, TypeGuard

from annotated_types import Ge, Gt, Le

# Torch and SQLite know integers of 64 bits.
LARGEST_SEED = 2**63 - 1
# More threads than any machine has processors for; torch needs memory for each.
MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Paths:
    """`runs`: the folder of run directories and the ledger. `cache`: of tokenised data and vocabularies."""

    runs: str
    cache: str


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a run is started and shown.

    `resume`: `auto` reports a finished run and resumes an interrupted one; `must` only resumes and
    never starts one; `never` keeps the old directory under another name and starts again.
    `threads`: of torch on the CPU (null: torch's own choice). `stop_at`: training ends early as soon as
    one of these validation metrics is reached (null: never; a metric's null turns it off). `until_step`: it
    ends after this step, with the learning rates of the whole training (null: at its planned end). `silence`:
    parts of the network that put out nothing, such as `heads.3.5` (see capture.components), in the steps
    after `silence_since` (null: 0) and up to `silence_until` (null: the last); or, with `silence_with=mean`,
    the mean of what they put out over the batch (null: zero).
    `progress`: `auto` shows bars on a terminal and lines elsewhere.
    """

    resume: Literal["auto", "never", "must"]
    stop_at: dict[str, float | None] | None
    until_step: Annotated[int, Ge(1)] | None
    silence: list[str] | None
    silence_since: Annotated[int, Ge(0)] | None
    silence_until: Annotated[int, Ge(0)] | None
    silence_with: Literal["zero", "mean"] | None
    threads: Annotated[int, Ge(1), Le(MOST_THREADS)] | None
    progress: Literal["auto", "bar", "lines", "none"]


# Lightning's other names of precisions.
Alias = Literal["32", "bf16", "16", "64", 32, 16, 64]


class TrainerKeys(TypedDict, total=False):
    """The keys of Lightning's Trainer that a config may set, each with the values that make sense here.

    All others are set by us or have no effect on a training.
    """

    accelerator: Literal["cpu", "gpu", "cuda", "mps", "auto"]
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"]
    devices: Annotated[int, Ge(1)] | list[Annotated[int, Ge(0)]]
    num_nodes: Literal[1]
    precision: (
        Literal["32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true"] | Alias
    )
    max_epochs: Annotated[int, Ge(1)]
    min_epochs: Annotated[int, Ge(1)] | None
    max_steps: Literal[-1] | Annotated[int, Ge(0)]
    min_steps: Annotated[int, Ge(1)] | None
    limit_train_batches: Annotated[float, Gt(0)] | None
    val_check_interval: Annotated[float, Gt(0)]
    check_val_every_n_epoch: Annotated[int, Ge(1)] | None
    num_sanity_val_steps: Annotated[int, Ge(-1)]
    log_every_n_steps: Annotated[int, Ge(1)]
    accumulate_grad_batches: Annotated[int, Ge(1)]
    gradient_clip_val: Annotated[float, Ge(0)] | None
    gradient_clip_algorithm: Literal["norm"] | None
    deterministic: bool | Literal["warn"] | None
    benchmark: bool | None
    inference_mode: bool
    profiler: Literal["simple", "advanced", "pytorch"] | None
    detect_anomaly: bool
    sync_batchnorm: bool


def with_units(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The section `trainer` with numbers whose type says their unit, as Lightning wants it.

    The user's unit never depends on a type: `val_check_interval` is a part of an epoch (1 and 1.0 are the
    whole), or counts optimizer steps where `check_val_every_n_epoch` is null. `limit_train_batches` is a part
    of the batches if it is less than 1, and else their number.

    Raises:
        ValueError: a number that is none in its unit.
    """
    trainer = dict(trainer)
    interval, limit = trainer.get("val_check_interval"), trainer.get("limit_train_batches")
    counts_steps = trainer.get("check_val_every_n_epoch", 1) is None
    if _is_number(interval) and interval > 0:
        if counts_steps and interval != int(interval):
            raise ValueError(
                f"trainer.val_check_interval={interval} must be a whole number of steps, because "
                "trainer.check_val_every_n_epoch=null"
            )
        if not counts_steps and interval > 1:
            raise ValueError(
                f"trainer.val_check_interval={interval} must be at most 1, a part of an epoch; for every "
                f"{interval:g} steps add trainer.check_val_every_n_epoch=null"
            )
        trainer["val_check_interval"] = int(interval) if counts_steps else float(interval)
    if _is_number(limit) and limit >= 1:
        if limit != int(limit):
            raise ValueError(
                f"trainer.limit_train_batches={limit} must be a whole number of batches, or a part of "
                "them below 1"
            )
        trainer["limit_train_batches"] = int(limit)
    return trainer


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**62


def study_of(config: Mapping[str, Any]) -> str:
    """The study of a run that names none: what its training starts from.

    >>> study_of({"model": {"weights": "random"}}), study_of({"model": {"weights": "bert-base-uncased"}})
    ('nopretrain', 'pretrained')
    """
    model = config.get("model")
    if not isinstance(model, Mapping):
        return "nopretrain"
    is_random = model.get("weights", "random") == "random" and model.get("pretraining") is None
    return "nopretrain" if is_random else "pretrained"


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of a composed config that every task has. A task adds sections of its own.

    A section with a `_target_` is checked against that class's constructor.
    """

    study: str
    seed: Annotated[int, Ge(0), Le(LARGEST_SEED)]
    task: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    finetuning: dict[str, Any] | None
    trainer: dict[str, Any]
    checkpoint: dict[str, Any]
    capture: dict[str, Any] | None
    logger: dict[str, Any]
    train: dict[str, Any]
    paths: dict[str, Any]
