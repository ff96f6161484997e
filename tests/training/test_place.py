"""The place of a run: what may change there, and epochs that repeat the first one."""

import pytest
from pytorch_lightning.callbacks import Callback

from framework.errors import UserError
from framework.testing.toy_run import toy_run
from framework.training.place import Place

WITHIN = Place(epoch=1, batches=4, length=9, total=13, steps=13, processes=2)
BORDERS = (Place(epoch=1, batches=0, length=9, total=9, steps=9, processes=2), Place(batches=9, length=9, total=9, steps=9, processes=2))


def test_a_place_comes_back():
    assert Place.of({"loops": {"fit_loop": WITHIN.state_dict()}}) == WITHIN


@pytest.mark.parametrize(
    "checkpoint",
    [
        {},
        {"loops": None},
        {"loops": {"fit_loop": 3}},
        {"loops": {"fit_loop": {"epoch_progress": {}}}},
        {"loops": {"fit_loop": {**WITHIN.state_dict(), "batches": "4"}}},
        {"loops": {"fit_loop": {**WITHIN.state_dict(), "stopping": None}}},
    ],
)
def test_a_checkpoint_without_a_place_is_refused(checkpoint):
    with pytest.raises(UserError, match="does not say where its run stands"):
        Place.of(checkpoint)


def test_processes_change_only_between_epochs():
    for place in BORDERS:
        place.check(None, -1, processes=3)
    WITHIN.check(None, -1, processes=2)
    with pytest.raises(UserError, match=r"epoch 2 \(batch 4 of 9\).*2 processes, not 3[\s\S]*trainer\.devices=2"):
        WITHIN.check(None, -1, processes=3)


@pytest.mark.parametrize(("epochs", "steps"), [(2, -1), (-1, 13), (None, -1)])
def test_limits_at_the_place_end_the_run_there(epochs, steps):
    WITHIN.check(epochs, steps, processes=2)


@pytest.mark.parametrize(("epochs", "steps", "said"), [(1, -1, r"max_epochs=2 to end it there"), (-1, 12, r"max_steps=13 to end it there")])
def test_limits_before_the_place_are_refused(epochs, steps, said):
    with pytest.raises(UserError, match=said):
        WITHIN.check(epochs, steps, processes=2)


class Seen(Callback):
    def __init__(self):
        self.rows = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rows.append(batch["@rows"].numbers)


def test_overfitting_repeats_the_batches_of_the_first_epoch():
    with toy_run() as run:
        seen = Seen()
        run.fit(run.trainer(callbacks=[seen], overfit_batches=2, max_epochs=3))
        assert len(seen.rows) == 6 and seen.rows[:2] == seen.rows[2:4] == seen.rows[4:] and seen.rows[0] != seen.rows[1]
