"""When training ends: maxima, and minima where there is no maximum."""

import pytest

from tests.training.toys import Loader, learner, rows, trainer


@pytest.mark.parametrize(
    ("options", "epochs", "steps"),
    [
        ({"max_epochs": None, "min_epochs": 2, "min_steps": 1}, 2, 6),  # three batches an epoch
        ({"max_epochs": None, "min_epochs": 1, "min_steps": 10}, 4, 12),  # the epoch in which the tenth step falls is the last
        ({"max_epochs": None, "min_steps": 4}, 2, 6),
        ({"max_epochs": None, "min_steps": 4, "accumulate_grad_batches": 2}, 2, 4),
        ({"max_epochs": None, "min_steps": 4, "limit_train_batches": 1}, 4, 4),
        ({"max_epochs": None, "min_steps": 4, "limit_train_batches": 0.34}, 4, 4),
        ({"max_epochs": 1, "min_epochs": 3, "min_steps": 10}, 1, 3),  # a maximum wins
        ({"max_epochs": None, "max_steps": 2, "min_steps": 10}, 1, 2),
    ],
)
def test_without_a_maximum_training_ends_with_the_epoch_that_reaches_the_minima(options, epochs, steps, tmp_path):
    loop = trainer(tmp_path, **options)
    loop.fit(learner(), Loader(rows(24), 8))
    assert (loop.fit_loop.epoch_progress.current.completed, loop.global_step) == (epochs, steps)
    if options.get("max_steps") is None:
        assert loop.estimated_stepping_batches == steps  # so the schedule ends there
