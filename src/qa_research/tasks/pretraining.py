"""Tasks on text whose network may first learn to fill in hidden words of the task's own training texts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from qa_research.config import conf_directory
from qa_research.model.handover import take_body
from qa_research.model.tokenizer import tokenizer_fingerprint
from qa_research.model.weights import weights_fingerprint
from qa_research.plain import read_yaml
from qa_research.tasks.task import StoredRun, Task

if TYPE_CHECKING:
    # It imports Lightning, which takes longer than an answer of a finished run does.
    from qa_research.tasks.pretrained import TextModule

# The task and the experiment of conf/ that hide words, and the class of its module.
MASKED = "masked_words"
MODULE = "qa_research.tasks.masked_words.module.MaskedWords"
# So often a pretraining whose steps are given is validated.
VALIDATIONS = 10
# What of the data both trainings must have had alike.
SAME = {"train": "training texts", "tokenizer": "tokenizer"}


class TextTask(Task):
    """A task whose network reads text.

    With `model.pretraining=self` a run begins with the weights of another one, of masked language modelling
    on the task's own training texts (Krishna et al. 2022, Downstream Datasets Make Surprisingly Good
    Pretraining Corpora). Only its output layer is then as it would be without.
    """

    module: "TextModule"
    # What run.json says of the run that this one begins with.
    begun_with: Mapping[str, Any] | None = None

    def first_training(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        return None if self.module.pretraining is None else config_of_pretraining(config)

    def start_from(self, run: StoredRun, weights: Mapping[str, Tensor]) -> list[str]:
        recorded, here = run.record["fingerprints"], self.own_fingerprints()
        for key, what in SAME.items():
            if recorded.get(key) != here[key]:
                raise ValueError(
                    f"the pretraining {run.name} had another {what} than there is now; remove it with "
                    "qa-research runs remove, and the same command trains it again"
                )
        self.begun_with = {
            "run": run.name,
            "id": run.record["id"],
            "checkpoint": run.label,
            "step": run.step,
        }
        source = f"{run.name} ({run.label}, step {run.step:,})"
        module = self.module
        return list(take_body(module.network, module.adapters, weights, source))

    def own_fingerprints(self) -> dict[str, str]:
        """A sha256 of the data, of the tokenizer and, once they are known, of the initial weights."""
        untyped: Any = self.data
        found: dict[str, str] = untyped.fingerprints()
        found |= {"tokenizer": tokenizer_fingerprint(self.module.tokenizer)}
        if self.module.pretraining is not None and self.begun_with is None:
            # A finished run can be told without the one that it began with.
            return found
        return found | {"weights": weights_fingerprint(self.module.network, self.module.adapters)}

    def start_facts(self) -> dict[str, Any]:
        """What run.json says about the run that this one begins with; nothing if there is none."""
        return {"pretraining": dict(self.begun_with)} if self.begun_with else {}


# Keys of the data that say in which order, and on which examples, another training is trained.
OF_ORDER = ("curriculum", "curriculum_epochs", "without", "only", "holes", "relabel")


def config_of_pretraining(config: Mapping[str, Any]) -> dict[str, Any]:
    """The checked config of the masked language modelling that a training begins with.

    Network, tokenizer, data, seed and study are its own, but it has no curriculum and leaves nothing out.
    Task, steps and learning rate are those of `+experiment=masked_words`, unless
    `model.pretraining_steps` and `model.pretraining_lr` say otherwise.
    """
    conf = conf_directory()
    task = read_yaml(conf / "task" / f"{MASKED}.yaml")
    experiment = read_yaml(conf / "experiment" / f"{MASKED}.yaml")
    model, trainer = config["model"], {**config["trainer"], **experiment["trainer"]}
    if steps := model["pretraining_steps"]:
        # An epoch has at least one step.
        trainer |= {
            "max_steps": steps,
            "max_epochs": steps,
            "val_check_interval": max(1, steps // VALIDATIONS),
        }
    lr = model["pretraining_lr"] or experiment["model"]["lr"]
    alone = {"pretraining": None, "pretraining_steps": None, "pretraining_lr": None}
    return {
        "study": config["study"],
        "seed": config["seed"],
        "task": task["task"],
        # So arms that differ in these begin with the same weights.
        "data": {**config["data"], **dict.fromkeys(OF_ORDER)},
        "model": {
            **model,
            **alone,
            "_target_": MODULE,
            "name": f"{model['name']}_{MASKED}",
            "lr": lr,
        },
        "finetuning": None,
        "trainer": trainer,
        "checkpoint": {**config["checkpoint"], **task["checkpoint"]},
        "capture": None,
        "logger": config["logger"],
        "train": {**config["train"], **task["train"], "resume": "auto"},
        "paths": config["paths"],
    }
