"""Configs of earlier versions, read with today's keys and classes. Changes no file.

A run is resumed and reopened from its own config.yaml, which a newer version must understand. Every key
and class that has been renamed is listed here, with the version that renamed it.
"""

from collections.abc import Mapping
from typing import Any

# Version 0.2: packages are capabilities, and question answering is one task among others.
_MOVED = {
    "qa_research.answer.settings.AnswerSettings": "qa_research.tasks.answering.decode.AnswerSettings",
    "qa_research.data.sources.BuiltinData": "qa_research.tasks.answering.data.BuiltinData",
    "qa_research.data.sources.FileData": "qa_research.tasks.answering.data.FileData",
    "qa_research.data.sources.HubData": "qa_research.tasks.answering.data.HubData",
    "qa_research.model.question_answering.QuestionAnswering": (
        "qa_research.tasks.answering.module.QuestionAnswering"
    ),
    "qa_research.run.best.Checkpoints": "qa_research.training.best.Checkpoints",
    "qa_research.run.settings.Paths": "qa_research.training.settings.Paths",
    "qa_research.run.settings.TrainSettings": "qa_research.training.settings.TrainSettings",
}
# Keys of the data that were copies of answer.max_answer_tokens and trainer.val_check_interval.
_COPIES = ("max_answer_tokens", "validate_every")
# Old keys on the command line, and what to write today.
RENAMED_KEYS = {
    "train.stop_at_exact_match": "train.stop_at={{choosing/exact_match: {value}}}",
    "data.max_answer_tokens": "answer.max_answer_tokens={value}",
    "data.validate_every": "trainer.val_check_interval={value}",
}
_TENSORBOARD = {
    "_target_": "qa_research.trackers.tensorboard.TensorBoardTracker",
    "graph": False,
}
ANSWERING = {
    "_target_": "qa_research.tasks.answering.task.AnsweringTask",
    "examples": "questions",
    "metrics": [
        {
            "name": "val/exact_match",
            "label": "exact match",
            "short": "EM",
            "better": "higher",
            "per_example": "exact_match",
            "scale": 100.0,
        },
        {
            "name": "val/f1",
            "label": "F1",
            "short": "F1",
            "better": "higher",
            "per_example": "f1",
            "scale": 100.0,
        },
    ],
}


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config, whichever version wrote it, as today's version writes it."""
    config = {key: _with_todays_class(value) for key, value in config.items()}
    # The first versions had no capture.
    config.setdefault("capture", None)
    # Version 0.3: other strategies than to train everything.
    config.setdefault("finetuning", None)
    # Version 0.3: other trackers than TensorBoard; some steps are kept without being asked for.
    config.setdefault("logger", dict(_TENSORBOARD))
    if isinstance(config.get("checkpoint"), dict):
        config["checkpoint"].setdefault("keep_weights_mb", None)
        # Version 0.3: whole states are kept at some steps.
        config["checkpoint"].setdefault("anchors_every_n_steps", None)
        config["checkpoint"].setdefault("anchors_mb", None)
    # Version 0.3: a training may end before its plan does.
    if isinstance(config.get("train"), dict):
        for key in ("until_step", "silence", "silence_since", "silence_until", "silence_with"):
            config["train"].setdefault(key, None)
    # What is not a section stays as it is: it may be damaged, which its reader says. Other tasks came later,
    # so their sections are as they are today.
    data, model = (_of_answering(config.get(name)) for name in ("data", "model"))
    # Version 0.3: files of other encodings than UTF-8 are read.
    if "train_path" in data:
        data.setdefault("encoding", "utf-8")
        # Version 0.3: one file may be divided.
        data.setdefault("validation_share", None)
    # Version 0.3: some validation questions choose the best weights. Until then all did.
    if "validation_questions" in data:
        data.setdefault("choosing_share", 1.0)
    # Version 0.3: random weights of other families than BERT's.
    if "weights" in model:
        model.setdefault("family", "bert")
    # Version 0.3: given weights in part, and a pretraining on the task's own texts. Networks that read text
    # have a tokenizer, whatever their task.
    if isinstance(config.get("model"), dict) and "tokenizer" in config["model"]:
        for key in ("reinit_top", "pretraining", "pretraining_steps", "pretraining_lr"):
            config["model"].setdefault(key, None)
    # Version 0.3: easy examples may come first, in any task with batches.
    if isinstance(config.get("data"), dict) and "num_workers" in config["data"]:
        config["data"].setdefault("curriculum", None)
        config["data"].setdefault("curriculum_epochs", None)
        # Version 0.3: a training without some of its examples, or with other answers.
        for key in ("without", "only", "holes", "relabel"):
            config["data"].setdefault(key, None)
    if "trainer" in config:
        config["trainer"] = _with_todays_interval(config["trainer"])
    # Version 0.3: attention without SDPA where that trains faster.
    if str(model.get("_target_")).endswith(".QuestionAnswering"):
        model.setdefault("plain_attention_below", 0)
    if "task" in config:
        return config
    config = {"task": ANSWERING} | config
    if isinstance(config.get("data"), Mapping):
        config["data"] = {k: v for k, v in config["data"].items() if k not in _COPIES}
    if isinstance(config.get("train"), Mapping) and "stop_at_exact_match" in config["train"]:
        train = dict(config["train"])
        score = train.pop("stop_at_exact_match")
        train["stop_at"] = None if score is None else {"val/exact_match": score}
        config["train"] = train
    return config


def _of_answering(section: Any) -> dict[str, Any]:
    """A section of question answering, or one that names no class; of another task, nothing to change."""
    if not isinstance(section, dict):
        return {}
    target = str(section.get("_target_", "qa_research.tasks.answering"))
    return section if target.startswith("qa_research.tasks.answering") else {}


def new_spelling(override: str) -> str | None:
    """A sentence with today's spelling of an override whose key was renamed; None for other keys.

    >>> new_spelling("train.stop_at_exact_match=100")
    'train.stop_at_exact_match is now: train.stop_at={choosing/exact_match: 100}'
    """
    key, _, value = override.lstrip("+~").partition("=")
    new = RENAMED_KEYS.get(key)
    if new is None:
        return None
    if value in ("", "null"):
        return f"{key} is now: {new.partition('=')[0]}=null"
    return f"{key} is now: {new.format(value=value)}"


def _with_todays_interval(trainer: Any) -> Any:
    """Until version 0.2 a whole `val_check_interval` counted steps, anew in each epoch; 1.0 was the epoch.

    Since version 0.3 steps are counted over epochs, where check_val_every_n_epoch is null.
    """
    if not isinstance(trainer, Mapping) or type(trainer.get("val_check_interval")) is not int:
        return trainer
    return {**trainer, "check_val_every_n_epoch": None}


def _with_todays_class(section: Any) -> Any:
    """A section with today's name of its class, and the same for its parts."""
    if not isinstance(section, Mapping):
        return section
    moved = {key: _with_todays_class(value) for key, value in section.items()}
    if isinstance(moved.get("_target_"), str):
        moved["_target_"] = _MOVED.get(moved["_target_"], moved["_target_"])
    return moved
