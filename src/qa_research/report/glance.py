"""A report's first screen, which has the verdict, the run at a glance and its command; its configuration."""

from collections.abc import Mapping
from typing import Any

from qa_research.ledger.runs import DATA_SPLITS, counts_key
from qa_research.pages.document import (
    Block,
    Code,
    Column,
    Command,
    Paragraph,
    Section,
    Table,
    Text,
    Value,
)
from qa_research.report.sources import FORMS, Source
from qa_research.report.verdicts import status_words
from qa_research.runs.directory import flattened, has_no_effect, run_name
from qa_research.tasks.task import PERCENT
from qa_research.text import command_line

CERTAIN = 99.5


def lead(source: Source) -> tuple[Block, ...]:
    """The verdict, the table and the command."""
    return (
        Paragraph(verdict(source), "verdict"),
        glance(source),
        Command(command_line(*source.entry.command), "The command that makes this run again:"),
    )


def verdict(source: Source) -> Text:
    """How it went, in one sentence."""
    if source.value("status").text != "finished":
        return (*_unfinished(source), *(_scores_sentence(source) if source.scores else ()))
    if not source.scores:
        return (
            "It trained for ",
            source.value("record", "whole", key="steps"),
            " steps and was never validated.",
        )
    return (
        "After ",
        source.value("record", "whole", key="steps"),
        " steps, the weights of step ",
        source.value("record", "whole", key="best_step"),
        " reach ",
        *_scores_sentence(source),
    )


def _unfinished(source: Source) -> Text:
    state = ("This run is ", source.value("status"), ", after ")
    done = source.value("metric", "whole", column="step") if source.rows else "0"
    words: Text = (*state, done, " steps")
    if source.entry.error:
        words = (*words, " (", source.value("error"), ")")
    return (
        *words,
        "; so far its best weights reach " if source.scores else "; it has no scores yet.",
    )


def _scores_sentence(source: Source) -> Text:
    """`exact match 29.0 % [24, 35] on match, where guessing gives 30.5, and ...`."""
    metric = source.metrics[0]
    words: list[Any] = [f"{metric['label']} "]
    for place, kind in enumerate(source.told_kinds):
        if place:
            words.append(" and " if place == len(source.told_kinds) - 1 else ", ")
        words += score_words(source, metric["name"], kind, metric["scale"] == PERCENT)
        if kind != "all":
            words += [" on ", Code(kind)]
        words += _against_guessing(source, kind)
    return (*words, ".")


def score_words(source: Source, metric: str, kind: str, unit: bool = False) -> Text:
    """A score with its 95 % interval; `unit`: in words, with the unit of a percentage."""
    value, low, high = (
        source.value("score", source.form_of(metric), metric=metric, kind=kind, end=end)
        for end in ("value", "low", "high")
    )
    return (value, " % [", low, ", ", high, "]") if unit else (value, " [", low, ", ", high, "]")


def _against_guessing(source: Source, kind: str) -> Text:
    guessed = (source.record.get("guessing") or {}).get(kind)
    if guessed is None or guessed >= CERTAIN:
        return ()
    score = source.scores[source.metrics[0]["name"], kind]
    judged = (
        "more than"
        if score.low > guessed
        else "less than"
        if score.high < guessed
        else "cannot be told from"
    )
    return (f" ({judged} guessing, ", source.value("record", "one", key=f"guessing.{kind}"), " %)")


def glance(source: Source) -> Table:
    """What the run is, in a few rows."""
    record, value = source.record, source.value
    rows: list[tuple[str, Text]] = [
        ("status", (*status_words(source), ", started ", value("record", "day", key="started"))),
        ("data", _data(source)),
        (
            "model",
            (
                value("config", key="model.name"),
                ", ",
                value("config", "whole", key="model.num_hidden_layers"),
                " layers of ",
                value("config", "whole", key="model.num_attention_heads"),
                " attention heads, ",
                value("config", "whole", key="model.hidden_size"),
                " units",
            )
            if "num_hidden_layers" in source.entry.config["model"]
            else (value("config", key="model.name"),),
        ),
        _begin(source),
        *_score_rows(source),
    ]
    if record.get("train_s") is not None:
        rows.append(
            (
                "time",
                (
                    value("record", "seconds", key="train_s"),
                    " of training, ",
                    value("record", "seconds", key="validation_s"),
                    " of validation",
                ),
            )
        )
    if record.get("capture"):
        rows.append(("looking inside", looking(source)))
    if record.get("machine"):
        rows.append(("hardware", _hardware(source)))
    columns = (Column(""), Column(""))
    return Table(columns, tuple(((name,), text) for name, text in rows))


def _begin(source: Source) -> tuple[str, Text]:
    """What the training began from, where there is a choice."""
    seed = source.value("config", key="seed")
    if "weights" not in source.entry.config["model"]:
        return "seed", (seed,)
    return "weights", (*weights(source), ", seed ", seed)


def weights(source: Source) -> Text:
    """Which weights a training began from, and what became of them before it."""
    found: Text = (source.value("config", key="model.weights"),)
    for key in ("reinit_top", "pretraining"):
        if source.entry.config["model"].get(key) is not None:
            found = (*found, f", {key}=", source.value("config", key=f"model.{key}"))
    return found


def _data(source: Source) -> Text:
    words: list[Any] = [source.value("record", key="data")]
    counts = counts_key(source.record, source.entry.config)
    for split, count in source.entry.questions.items():
        if split in DATA_SPLITS and count:
            words += [
                ", ",
                source.value("record", "whole", key=f"{counts}.{split}"),
                f" for {_SPLITS.get(split, split)}",
            ]
    return tuple(words)


_SPLITS = {"train": "training"}


def _score_rows(source: Source) -> list[tuple[str, Text]]:
    rows = []
    for metric in source.metrics:
        if (
            metric["name"],
            source.told_kinds[0] if source.told_kinds else "all",
        ) not in source.scores:
            continue
        words: list[Any] = []
        for kind in source.told_kinds:
            words += [*([", "] if words else []), *score_words(source, metric["name"], kind)]
            words += [] if kind == "all" else [" on ", Code(kind)]
        total = source.value("score", "whole", metric=metric["name"], kind="all", end="total")
        rows.append((metric["label"], (*words, "; of ", total, f" {source.examples}")))
    return rows


def looking(source: Source) -> Text:
    """What the captures cost."""
    return (
        source.value("record", "whole", key="capture.captures"),
        " captures, ",
        source.value("record", "seconds", key="capture.seconds"),
        ", ",
        source.value("record", "one", key="capture.percent_of_training"),
        " % of the training",
    )


def _hardware(source: Source) -> Text:
    machine = source.record["machine"]
    words: list[Any] = [source.value("record", key="machine.cpu")]
    if machine.get("gpu"):
        words += [", ", source.value("record", key="machine.gpu")]
    if machine.get("threads"):
        noun = "thread" if machine["threads"] == 1 else "threads"
        words += [", ", source.value("record", "whole", key="machine.threads"), f" {noun}"]
    return tuple(words)


def configuration_section(source: Source, default: Mapping[str, Any]) -> Section:
    """What differs from the default, fingerprints, versions."""
    blocks: list[Block] = [_differences(source, default)]
    fingerprints = source.record.get("fingerprints") or {}
    versions = source.record.get("versions") or {}
    if fingerprints:
        rows = [
            ((name,), (source.value("record", "digest", key=f"fingerprints.{name}"),))
            for name in fingerprints
        ]
        blocks.append(Table((Column("fingerprint"), Column("sha256, first digits")), tuple(rows)))
    if versions:
        # A package's name may have a dot in it.
        rows = [((name,), (source.value("version", package=name),)) for name in versions]
        blocks.append(Table((Column("package"), Column("version")), tuple(rows)))
    line = command_line("qa-research", "report", run_name(source.directory), "--verify")
    about = "Every number above carries its origin; this takes each from the run's files again:"
    return Section("configuration", "Configuration", (*blocks, Command(line, about)))


def _differences(source: Source, default: Mapping[str, Any]) -> Block:
    own, usual = flattened(source.entry.config), flattened(default)
    if source.entry.config["task"]["_target_"] != default["task"]["_target_"]:
        # The default is another task's, which has keys of its own.
        usual = {key: value for key, value in usual.items() if key in own}
    rows = []
    for key in sorted(own.keys() | usual.keys()):
        if (
            own.get(key) != usual.get(key)
            and not has_no_effect(key)
            and not key.endswith("_target_")
        ):
            here: tuple[Value | str, ...] = (
                (source.value("config", "setting", key=key),) if key in own else ("absent",)
            )
            rows.append(
                (
                    (Code(key),),
                    here,
                    (Code(FORMS["setting"](usual[key])) if key in usual else "absent",),
                )
            )
    if not rows:
        return Paragraph(("The configuration is the default one.",))
    columns = (Column("key"), Column("here"), Column("default"))
    return Table(
        columns,
        tuple(rows),
        ("What differs from the default configuration, and can change a result.",),
    )
