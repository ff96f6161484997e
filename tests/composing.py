"""Composing by Hydra, remembered: a command line that a process of tests has composed is not composed again.

It is most of what a refused command costs, and a fifth of a toy run. Remembered is what Hydra alone makes of the words; checks, defaults
and whatever is read from the user's folders are done anew. Tests of composing itself (tests/config) are left out.
"""

import pickle
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig


class Remembered:
    """`hydra_config` of framework.config.compose, with what it returned for the same words, catalogue and settings."""

    def __init__(self, compose: Callable[[list[str]], DictConfig]):
        self.compose, self.active = compose, True
        self.known: dict[Any, tuple[Any, bytes, dict[str, str]]] = {}

    def __call__(self, words: list[str]) -> DictConfig:
        from framework.config import catalogue as index
        from framework.config.hydra_compose import CatalogueSearchPath
        from framework.config.hydra_source import CatalogueSource

        if not self.active or CatalogueSearchPath.folders:
            return self.compose(words)
        catalogue = index.load()
        key = (tuple(words), id(catalogue), repr(CatalogueSource.settings))
        if key not in self.known:
            config = self.compose(words)
            self.known[key] = catalogue, pickle.dumps(config), dict(CatalogueSource.inside)  # the catalogue keeps its id
            return config
        _, config, inside = self.known[key]
        CatalogueSource.inside = dict(inside)
        return pickle.loads(config)  # noqa: S301 - what this process wrote
