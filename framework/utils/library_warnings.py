"""Warnings and log lines of Lightning and torch."""

import logging
import warnings


def silence_warnings() -> None:
    """Silences warnings of Lightning and torch that a user can do nothing about."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for remark in ("does not have many workers", "LeafSpec", "You called `self.log", "`_dataloader`", "No device id", "logging interval"):
        warnings.filterwarnings("ignore", message=f".*{remark}.*")
