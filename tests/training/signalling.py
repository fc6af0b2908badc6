"""A network that sends a signal to its own process at a chosen moment of its training."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from qa_research.tasks.answering.module import QuestionAnswering


class CrashError(RuntimeError):
    """A crash, as far as a process can survive one."""


@dataclass
class Plan:
    """What happens at the n-th call (from 1) of a hook: a signal, a crash (None), or a call."""

    hook: str
    call: int
    number: signal.Signals | Callable[[], object] | None


def plan_of_environment() -> list[Plan]:
    """`SIGNALLING=hook:call:number:rank,...`: the plans of one of possibly several separate processes."""
    said = [plan.split(":") for plan in os.environ.get("SIGNALLING", "").split(",") if plan]
    return [
        Plan(hook, int(call), signal.Signals(int(number)))
        for hook, call, number, rank in said
        if rank == os.environ.get("LOCAL_RANK", "0")
    ]


class Following:
    """Mixed into a LightningModule: a plan, which belongs to the process and not to the config."""

    plans: ClassVar[list[Plan]] = plan_of_environment()
    calls: ClassVar[dict[str, int]] = {}

    @classmethod
    def follow(cls, *plans: Plan) -> None:
        cls.plans, cls.calls = list(plans), {}

    def _at(self, hook: str) -> None:
        self.calls[hook] = self.calls.get(hook, 0) + 1
        for plan in self.plans:
            if (plan.hook, plan.call) == (hook, self.calls[hook]):
                if plan.number is None:
                    raise CrashError(hook)
                if callable(plan.number):
                    plan.number()
                else:
                    os.kill(os.getpid(), plan.number)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        self._at("training")
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._at("sanity check" if self.trainer.sanity_checking else "validation")
        super().validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self._at("validation's end")

    def on_train_epoch_end(self) -> None:
        self._at("epoch's end")

    def on_train_epoch_start(self) -> None:
        self._at("epoch's start")


class Signalling(Following, QuestionAnswering):
    """Question answering with a plan."""

    def make_tokenizer(self, *arguments: Any) -> Any:
        self._at("tokenising")
        return super().make_tokenizer(*arguments)
