"""A network that notes, before each step of a training, everything that the step will start from."""

from typing import Any, ClassVar

from torch import Tensor

from tests.training.signalling import Signalling

Noted = dict[str, Any]


class Noting(Signalling):
    """By the number of steps done: `weights`, `trains`, `state` (of the optimizer) and `groups`.

    `served`: the windows of each batch.
    """

    noted: ClassVar[dict[int, Noted]] = {}
    served: ClassVar[list[list[int]]] = []

    @classmethod
    def forget(cls) -> None:
        cls.noted, cls.served = {}, []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        self.noted[self.trainer.global_step] = self._now()
        self.served.append(batch["window"].tolist())
        return super().training_step(batch, batch_idx)

    def _now(self) -> Noted:
        named = dict(self.network.named_parameters())
        name_of = {parameter: name for name, parameter in named.items()}
        (optimizer,) = self.trainer.optimizers
        return {
            "weights": {name: _bytes(p) for name, p in named.items()},
            "trains": {name for name, p in named.items() if p.requires_grad},
            "state": {
                name_of[p]: {key: _bytes(value) for key, value in moments.items()}
                for p, moments in optimizer.state.items()
            },
            "updates": {name_of[p]: int(s["step"]) for p, s in optimizer.state.items()},
            "groups": [
                group | {"params": [name_of[p] for p in group["params"]]}
                for group in optimizer.param_groups
            ],
        }


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().numpy().tobytes()
