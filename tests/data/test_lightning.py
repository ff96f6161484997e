"""Lightning resumed in the middle of an epoch gets the remaining batches."""

import pytest
import pytorch_lightning as pl
import torch

from framework.data.module import prepare
from framework.data.sources.builtin import BuiltinData
from framework.data.tokenization.trainers import BytesTokenizer
from framework.registry import Part
from tests.data.toy import Labeled


class Witness(pl.LightningModule):
    """Records the rows of its batches."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int]]] = []

    def training_step(self, batch, number):
        self.seen.append((self.current_epoch, batch["@rows"].numbers))
        return self.weight * batch["ids"].float().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAt(pl.Callback):
    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def fit(callbacks=(), **how):
    data = prepare(BuiltinData(Labeled(), 0, batches=Part("batches/rows", rows=8)), BytesTokenizer(), Labeled(), 16)
    module = Witness()
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        devices=1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, data.loader("train", seed=4), weights_only=True, **how)
    return module.seen


@pytest.mark.parametrize("step", [3, 5, 7, 10])  # 5 batches an epoch: in the middle and at the end of one
@pytest.mark.filterwarnings("ignore")
def test_the_remaining_batches(tmp_path, step):
    path = str(tmp_path / "last.ckpt")
    whole = fit([SaveAt(step, path)])
    assert [epoch for epoch, _ in whole] == [0] * 5 + [1] * 5 + [2] * 5
    assert len({tuple(rows) for _, rows in whole}) == 15
    assert fit(ckpt_path=path) == whole[step:]
