"""A separate cache folder for every data test."""

import pytest

from framework.data import batches  # noqa: F401 - registers the ways to form batches


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PLUGFORMER_CACHE", str(folder))
    return folder
