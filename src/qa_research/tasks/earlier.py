"""How the configs of earlier versions are read today. Changes no file.

A run is resumed and reopened from its own config.yaml, which a newer version must understand: here is
every key and class that has been renamed since, with the version that renamed it.
"""

from collections.abc import Mapping
from typing import Any

# Version 0.2: packages became capabilities, and question answering became one task among others.
_MOVED = {
    "qa_research.answer.settings.AnswerSettings": "qa_research.tasks.answering.decode.AnswerSettings",
    "qa_research.capture.callback.Capture": "qa_research.capture.callback.Capture",
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
# Keys of the data that only the answers and the trainer read, which have them themselves.
_CARRIED = ("max_answer_tokens", "validate_every")
# Keys of the command line, and what to write today.
RENAMED_KEYS = {
    "train.stop_at_exact_match": "train.stop_at={{val/exact_match: {value}}}",
    "data.max_answer_tokens": "answer.max_answer_tokens={value}",
    "data.validate_every": "trainer.val_check_interval={value}",
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
    """A run's config, of whatever version, as today's version writes it."""
    plain: dict[str, Any] = {key: _moved(value) for key, value in config.items()}
    # Started by a version that did not look inside.
    plain.setdefault("capture", None)
    if "task" in plain:
        return plain
    plain = {"task": ANSWERING} | plain
    plain["data"] = {k: v for k, v in plain.get("data", {}).items() if k not in _CARRIED}
    train = dict(plain.get("train", {}))
    if "stop_at_exact_match" in train:
        score = train.pop("stop_at_exact_match")
        train["stop_at"] = None if score is None else {"val/exact_match": score}
        plain["train"] = train
    return plain


def new_spelling(override: str) -> str | None:
    """What an override of a renamed key is called today, as a sentence; None for other keys.

    >>> new_spelling("train.stop_at_exact_match=100")
    'train.stop_at_exact_match is now: train.stop_at={val/exact_match: 100}'
    """
    key, _, value = override.lstrip("+~").partition("=")
    new = RENAMED_KEYS.get(key)
    if new is None:
        return None
    if value in ("", "null"):
        return f"{key} is now: {new.partition('=')[0]}=null"
    return f"{key} is now: {new.format(value=value)}"


def _moved(section: Any) -> Any:
    """A section with today's name of its class, also in its parts."""
    if not isinstance(section, Mapping):
        return section
    moved = {key: _moved(value) for key, value in section.items()}
    if "_target_" in moved:
        moved["_target_"] = _MOVED.get(moved["_target_"], moved["_target_"])
    return moved
