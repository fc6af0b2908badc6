"""Why strategies are not Lightning's BaseFinetuning: it freezes again what had been thawed (its issue 21901).

If this test fails, Lightning has mended it.
"""

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import BaseFinetuning
from torch import nn
from torch.utils.data import DataLoader


class Thawed(BaseFinetuning):
    """Freezes the body, and thaws it at the start of the second epoch."""

    def freeze_before_training(self, pl_module):
        self.freeze(pl_module.body)

    def finetune_function(self, pl_module, epoch, optimizer):
        if epoch == 1:
            self.unfreeze_and_add_param_group(pl_module.body, optimizer)


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        return self.head(self.body(batch)).square().mean()

    def configure_optimizers(self):
        return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=0.1)


def trained(folder, epochs, resume_from=None):
    module = Line()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[Thawed()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, DataLoader(torch.ones(4, 2), batch_size=2), ckpt_path=resume_from)
    return trainer, module


def test_base_finetuning_freezes_again_on_resume(tmp_path, recwarn):
    _, unbroken = trained(tmp_path, 3)
    assert all(p.requires_grad for p in unbroken.body.parameters())
    first, _ = trained(tmp_path, 2)
    first.save_checkpoint(tmp_path / "two.ckpt")
    _, resumed = trained(tmp_path, 3, tmp_path / "two.ckpt")
    assert not any(p.requires_grad for p in resumed.body.parameters())
