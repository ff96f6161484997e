"""Fixtures of every test: no network, no account, one thread, the same random numbers in any order, and a separate cache folder."""

import contextlib
import gc
import os
import random
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.composing import Remembered
from tests.sampling import sampled

gc.disable()  # until everything is imported, see pytest_collection_finish

# Set before torch, datasets or wandb are imported; what a test starts as a process of its own inherits them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # the same precision is chosen, and the same kernels, on every processor
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
# The clone is compiled once, not by each of the processes that tests start; and rewritten asserts are kept (a fifth of the collection).
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
for name in [name for name in os.environ if name.startswith(("PYTHONWARNINGS", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "PLUGFORMER_"))]:
    del os.environ[name]


# With one of the others at the end, the workers end together; `--no-loadscope-reorder` keeps the order.
LONGEST = (
    "conformance/test_registered.py",
    "packaging/test_wheel.py",
    "scaffold/test_every_kind.py",
    "integration/test_processes.py",
    "integration/test_sweep.py",
    "conformance/test_registered_kinds.py",
    "scaffold/test_installed.py",
    "scaffold/test_pages.py",
    "integration/test_run_folder.py",
    "integration/test_search.py",
    "config/test_catalogue.py",
    "scaffold/test_extend_page.py",
    "strangers/test_strangers.py",
    "export/test_onnx.py",
    "training/test_interruptions.py",
)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache is neither read nor filled. Workers share one: what takes seconds to make is made once; rows of Python's standard
    library, and the catalogue as it was when the tests were collected, are those of the session before where their sources are the same."""
    kept, workers = Path(os.environ["PLUGFORMER_CACHE"]), "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent / "cache" if workers else tmp_path_factory.mktemp("cache")
    folder.mkdir(exist_ok=True)
    (kept / "builtin").mkdir(exist_ok=True)
    for path in (kept / "builtin", *kept.glob("catalogue-*.json")):
        with contextlib.suppress(FileExistsError):
            (folder / path.name).symlink_to(path)
    os.environ["PLUGFORMER_CACHE"] = os.environ["PLUGFORMER_FORKS"] = str(folder)  # see tests/forks.py
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")  # read when trackio is imported
    return folder


@pytest.fixture(scope="session", autouse=True)
def threads(pytestconfig: pytest.Config) -> None:
    """Sums come out the same on any number of cores."""
    import torch

    torch.set_num_threads(pytestconfig.getoption("threads"))


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Restores the environment variables that a run in this process changed."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


def reseed() -> None:
    import torch

    random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def remembered() -> Iterator[Remembered]:
    """Results of Hydra's composing that tests of one process share (tests/composing.py)."""
    from framework.config import compose

    with pytest.MonkeyPatch.context() as patch:
        remembered = Remembered(compose.hydra_config)
        patch.setattr(compose, "hydra_config", remembered)
        yield remembered


@pytest.fixture(scope="module", autouse=True)
def composed_anew(request: pytest.FixtureRequest, remembered: Remembered) -> None:
    """Tests of composing compose."""
    remembered.active = "config" not in request.path.parts


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A test without a seed draws the same numbers in any order of tests."""
    reseed()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """Seeds a shared fixture too, and restores the generators, so that the test that requests it first draws the same as the others."""
    if fixturedef.scope == "function":
        return (yield)
    import torch

    drawn = random.getstate(), torch.get_rng_state()
    reseed()
    try:
        return (yield)
    finally:
        random.setstate(drawn[0])
        torch.set_rng_state(drawn[1])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--threads", type=int, default=1, help="number of threads; more than one sum in another order")
    parser.addoption("--matrix", choices=("sample", "whole"), default="sample", help="cases of tests with the marker `matrix`")
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the files, and the tests of each file, in random order")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["OMP_NUM_THREADS"] = str(config.getoption("threads"))
    cache = getattr(config, "cache", None)  # none with `-p no:cacheprovider`
    os.environ["PLUGFORMER_CACHE"] = str(cache.mkdir("plugformer") if cache else tempfile.mkdtemp(prefix="plugformer-tests-"))


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("shuffle")
    return None if seed is None else f"random order: --shuffle {seed}"


def left_out(items: list[pytest.Item]) -> set[pytest.Item]:
    """Those cases of tests with the marker `matrix` that are not in the sample."""
    groups: dict[str, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("matrix"):
            groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    out: set[pytest.Item] = set()
    for name, cases in groups.items():
        marker = next(cases[0].iter_markers("matrix"))
        axes = marker.kwargs.get("axes")
        values = [{axis: repr(value) for axis, value in case.callspec.params.items() if axes is None or axis in axes} for case in cases]
        kept = sampled(values, marker.args[0], name)
        out |= {case for place, case in enumerate(cases) if place not in kept}
    return out


def pytest_collection_finish() -> None:
    """Excludes imported modules from garbage collection, which otherwise takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes a sample of large matrices, and keeps the tests of a file together, so that fixtures of its module are made once. The files
    that take longest come first, so that no worker has one of them left when the others are done."""
    if config.getoption("matrix") == "sample" and (out := left_out(items)):
        config.hook.pytest_deselected(items=[item for item in items if item in out])
        items[:] = [item for item in items if item not in out]
    longest = {path: place for place, path in enumerate(LONGEST)}
    items.sort(key=lambda item: longest.get(item.path.relative_to(item.config.rootpath / "tests").as_posix(), len(longest)))
    seed = config.getoption("shuffle")
    if seed is not None:
        place = {path: random.Random(f"{seed} {path.name}").random() for path in {item.path for item in items}}
        items.sort(key=lambda item: (place[item.path], random.Random(f"{seed} {item.nodeid}").random()))
