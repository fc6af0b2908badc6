"""What a fork changes of the optimizer that its state comes with."""

from typing import Any

import lightning.pytorch as pl


class Altered(pl.Callback):
    """Gives the optimizer the learning rate, decay and betas of a fork's config, instead of those restored.

    What is not changed is set to what it was, bit for bit; and so does a fork that is resumed.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        (optimizer,), (scheduled,) = trainer.optimizers, trainer.lr_scheduler_configs
        schedule: Any = scheduled.scheduler
        schedule.base_lrs = [module.lr for _ in schedule.base_lrs]
        own = module.parameter_groups(module.shares)[0]
        for group, fresh, factor in zip(
            optimizer.param_groups, own, schedule.lr_lambdas, strict=True
        ):
            group |= {
                "initial_lr": module.lr,
                "lr": module.lr * factor(schedule.last_epoch),
                "betas": module.betas,
                "eps": module.adam_epsilon,
                "weight_decay": fresh["weight_decay"],
            }
        schedule._last_lr = [group["lr"] for group in optimizer.param_groups]
