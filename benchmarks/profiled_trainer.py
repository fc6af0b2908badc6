"""A Trainer whose loop torch.profiler times while it is sampled: stacks_shares.py names it in a config."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.profilers import Profiler
from torch.profiler import ProfilerActivity, profile, record_function

# Where the seconds of each range go.
TIMES = "STACKS_SHARES_TIMES"


class Ranges(Profiler):
    """Gives each action of Lightning's loop a range of torch.profiler."""

    def __init__(self) -> None:
        super().__init__(dirpath=None, filename=None)
        self.open: dict[str, Any] = {}

    def start(self, action_name: str) -> None:
        self.open[action_name] = record_function(f"[lab]{action_name}")
        self.open[action_name].__enter__()

    def stop(self, action_name: str) -> None:
        self.open.pop(action_name).__exit__(None, None, None)


class ProfiledTrainer(Trainer):
    """Lightning's Trainer; `fit` writes how long torch.profiler saw each of its actions."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "profiler": Ranges()})

    def fit(self, *arguments: Any, **settings: Any) -> None:
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiled:
            super().fit(*arguments, **settings)
        times = {
            event.key.removeprefix("[lab]"): event.cpu_time_total / 1e6
            for event in profiled.key_averages()
            if event.key.startswith("[lab]")
        }
        Path(os.environ[TIMES]).write_text(json.dumps(times))
        torch.set_grad_enabled(True)
