"""The DataLoader of every task: its workers leave signals to the process that trains."""

import multiprocessing
from multiprocessing.util import Finalize
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from qa_research.signals import held_back, serve_only_the_parent


class Loader(DataLoader[dict[str, Tensor]]):
    """A DataLoader whose workers ignore what stops a training, and end with the process that they serve."""

    def __init__(self, dataset: Any, **settings: Any) -> None:
        super().__init__(dataset, worker_init_fn=serve_only_the_parent, **settings)

    def __iter__(self) -> Any:
        if self.num_workers:
            # Of a training that failed, workers may be left. When a process exits, multiprocessing asks them
            # to end by SIGTERM, which they ignore, and waits for ever. What is called here comes before.
            Finalize(None, _end_children, exitpriority=1)
        # A worker that has just been started does not ignore signals yet; until then they wait.
        with held_back():
            return super().__iter__()


def _end_children() -> None:
    for process in multiprocessing.active_children():
        process.kill()
