"""Ranks that torchrun or srun started agree on the folder of their run.

Rank zero composes the run, encodes its data and makes the folder, as long as that takes; the others wait for it, and say whether they see
what it wrote there. They talk through the key/value store of torch, which the process group uses afterwards.
"""

import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from framework.errors import UserError
from framework.runs import lock
from framework.runs.folder import Run
from framework.utils.ranks import Ranks
from framework.workflows.start import Start

if TYPE_CHECKING:
    from torch.distributed import TCPStore

ARRIVAL = 300.0  # seconds in which all processes must have started
SIGHT = 20.0  # seconds after which a file on a shared disk is seen everywhere
_stores: dict[int, "TCPStore"] = {}  # rank -> its store, whatever address the process group has
_launched = itertools.count()  # runs of this process: the jobs of a sweep meet at different keys
_LED = "plugformer/led"  # key that says that a rank zero has been there
_BEGUN = "plugformer/begun"  # key of the folder of its run
_words = itertools.count()  # what rank zero has said between them


@contextmanager
def meet(place: Ranks, make: Callable[[], Start], opened: Callable[[Start], AbstractContextManager[Start]]) -> Iterator[Start]:
    """The start of the run, in its folder, on every rank. make, opened: called by rank zero alone; the latter encodes the data and makes
    the folder, once all ranks have come.

    UserError: not all processes came, or one of them does not see the folder. SystemExit(2): rank zero printed the reason.
    """
    store = _store(place)
    number = next(_launched)
    key, again = f"plugformer/{_attempt(place)}/{number}", number == 0 and _under_agent()
    store.add(f"{key}/came", 1)
    if place.rank > 0:
        start = _follow(store, key, place)
        if again:
            _meet_anew(store, key, place)
        yield start
        return
    with ExitStack() as stack:
        told = False
        try:
            start = _begun(store, place) or make()
            if (came := _all(store, f"{key}/came", place.size, ARRIVAL)) < place.size:
                raise UserError(f"{came} of {place.size} processes started within {ARRIVAL:.0f} s; srun or torchrun must start all of them")
            start = stack.enter_context(opened(start))
            told = True
            _lead(store, key, place, start)
        finally:
            if not told:
                store.set(key, "")
                _all(store, f"{key}/read", place.size - 1, SIGHT)
        if again:
            _meet_anew(store, key, place)
        yield start


def _meet_anew(store: "TCPStore", key: str, place: Ranks) -> None:
    """Has the process group meet at a port of rank zero's choice, if torchrun has started the processes again: in torchrun's own store it
    would find the addresses of the processes before. For the first run of these processes."""
    if place.rank == 0:
        chosen = ""
        if store.check([_LED]):
            with socket.socket() as probe:
                probe.bind(("", 0))
                chosen = f"{place.address if place.nodes == 1 else socket.getfqdn()} {probe.getsockname()[1]}"
        store.set(_LED, "")
        store.set(f"{key}/address", chosen)
    if chosen := _answer(store, f"{key}/address", place):
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = chosen.split()
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"


def _begun(store: "TCPStore", place: Ranks) -> Start | None:
    """The run that these ranks had begun before torchrun started them again; None if there is none. It goes on in as many processes as
    there are now, if it stands where that is possible. A lock that a dead process has on another machine is waited for."""
    if not _under_agent() or not store.check([_BEGUN]):
        return None
    run = Run.open(Path(store.get(_BEGUN).decode()))
    deadline = time.monotonic() + 1.1 * lock.BOUND
    while lock.holder(run.folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    trainer = run.config()["trainer"]
    before = trainer.get("devices"), trainer.get("num_nodes", 1)
    now = [f"trainer.devices={place.local_size}", f"trainer.num_nodes={place.nodes}"]
    changes = [] if before == (place.local_size, place.nodes) else now
    print(f"torchrun has started the processes again: {run.folder} goes on {' '.join(changes)}".rstrip(), flush=True)
    return Start.resumed(run, changes)


def announce(place: Ranks, word: str, last: bool = False) -> None:
    """Tells the other ranks what comes next in a sweep. last: waits until they have read it, for the store ends with this process."""
    store, key = _store(place), _word_key(place)
    store.set(key, word)
    if last:
        _all(store, f"{key}/read", place.size - 1, SIGHT)


def announced(place: Ranks) -> str:
    """The next word of rank zero, waited for without a limit. UserError: rank zero has ended."""
    store, key = _store(place), _word_key(place)
    word = _answer(store, key, place)
    store.add(f"{key}/read", 1)
    return word


def _word_key(place: Ranks) -> str:
    return f"plugformer/{_attempt(place)}/word/{next(_words)}"


def _attempt(place: Ranks) -> str:
    """Differs between the attempts of torchrun, whose store outlives them."""
    return f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}.{place.size}"


def _store(place: Ranks) -> "TCPStore":
    """The store of these ranks. It is kept: its server is also that of the process group."""
    if place.rank not in _stores:
        _stores[place.rank] = _connected(place)
    return _stores[place.rank]


def _connected(place: Ranks) -> "TCPStore":
    from torch.distributed import TCPStore

    leads = place.rank == 0 and not _under_agent()
    deadline = time.monotonic() + ARRIVAL
    while not leads and not _listens(place):  # torch would wait too, but deaf to signals
        if time.monotonic() > deadline:
            raise UserError(
                f"rank {place.rank} of {place.size} waited {ARRIVAL:.0f} s for rank zero at {place.address}:{place.port} "
                f"(MASTER_ADDR, MASTER_PORT), which does not answer"
            )
        time.sleep(0.2)
    try:
        return TCPStore(place.address, place.port, place.size, leads, timedelta(seconds=ARRIVAL), wait_for_workers=False, multi_tenant=True)
    except RuntimeError as error:
        raise UserError(f"rank zero cannot listen at port {place.port}; set MASTER_PORT to a free one ({_first_line(error)})") from error


def _under_agent() -> bool:
    """Whether the store is torchrun's, which outlives the ranks."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _listens(place: Ranks) -> bool:
    try:
        socket.create_connection((place.address, place.port), timeout=5).close()
    except OSError:
        return False
    return True


def _lead(store: "TCPStore", key: str, place: Ranks, start: Start) -> None:
    """Tells the others the folder, and lets them go on if all of them see it."""
    assert start.run is not None
    folder, token = start.run.folder.resolve(), secrets.token_hex(8)
    if _under_agent() and start.place is None:  # a sweep goes on by its ledger
        store.set(_BEGUN, str(folder))
    mark = folder / f".meeting-{token}"
    mark.touch()
    try:
        store.set(key, f"{token} {folder}")
        read = _all(store, f"{key}/read", place.size - 1, ARRIVAL)
        blind = store.get(f"{key}/blind").decode() if store.check([f"{key}/blind"]) else ""
        store.set(f"{key}/go", "" if read < place.size - 1 or blind else "go")
        if blind:
            raise UserError(
                f"the folder of the run, {folder} on {socket.gethostname()}, is not seen on {blind}\n"
                "All machines need one disk for the folder of runs: start in a folder that they share."
            )
        if read < place.size - 1:
            raise UserError(f"{place.size - 1 - read} of {place.size} processes have ended before the run began")
    finally:
        mark.unlink(missing_ok=True)


def _follow(store: "TCPStore", key: str, place: Ranks) -> Start:
    token, _, name = _answer(store, key, place).partition(" ")
    folder = Path(name)
    if name and not _seen(folder / f".meeting-{token}"):
        store.set(f"{key}/blind", socket.gethostname())
    store.add(f"{key}/read", 1)
    if not name or not _answer(store, f"{key}/go", place):
        raise SystemExit(2)  # rank zero prints the reason
    return Start.of_run(Run.open(folder))


def _seen(path: Path) -> bool:
    """Whether a file is there, at the latest when the directory caches of a network disk have been renewed."""
    deadline = time.monotonic() + SIGHT
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _all(store: "TCPStore", key: str, count: int, seconds: float) -> int:
    """Waits until so many ranks have counted at the key. Returns how many have in this time."""
    deadline = time.monotonic() + seconds
    while (there := store.add(key, 0)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return there


def _answer(store: "TCPStore", key: str, place: Ranks) -> str:
    """The value that rank zero writes at the key; waits for it without a limit."""
    try:
        while not store.check([key]):
            time.sleep(0.1)
        return store.get(key).decode()
    except RuntimeError as error:  # the connection is lost
        raise UserError(f"rank {place.rank} of {place.size}: rank zero has ended ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
