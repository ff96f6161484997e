"""Trains, resumes and predicts where something is missing or full, and counts lost checkpoints and tracebacks: a table of docs/results.md.

python benchmarks/surroundings.py [--show] [CASE...]

Each command runs in a process forked from this one, which has imported everything already. Some cases need root: a small file system is
mounted, or the process becomes another user.
"""

import contextlib
import importlib
import io
import json
import os
import pickle
import pkgutil
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402
from results import PAGE, RECORD, SURROUNDINGS, page  # noqa: E402

import framework  # noqa: E402
import plugins  # noqa: E402
from framework.__main__ import main as framework_main  # noqa: E402
from framework.cli.train import main as train_main  # noqa: E402
from framework.config import catalogue as index  # noqa: E402
from framework.workflows import evaluate, predict, train  # noqa: E402, F401

SMALL = ["task=classification", "data=files", "data.train=train.csv", "data.validation=train.csv", "tokenizer=bytes", "model.dim=16",
         "model.num_layers=1", "model.num_heads=2", "model.max_length=32", "task.baseline=false", "trainer.max_epochs=2",
         "effort=fixed"]  # fmt: skip
NOBODY = 54321  # no user of this number exists
ELSEWHERE = str(Path(tempfile.gettempdir(), "surroundings-cache"))  # a cache of that user


@dataclass
class Child:
    """Settings of the process of a command. do: functions called in it before the command; encoding: of its terminal."""

    do: list[Callable[[], None]] = field(default_factory=list)
    encoding: str = "utf-8"


def run(main: Callable[[list[str]], int], words: list[str], child: Child | None = None, out: int | None = None) -> tuple[int, str]:
    """Exit code of a command, and what it wrote on its two streams, as far as they could be written. out: a descriptor for standard output
    instead; -1: closed."""
    child = child or Child()
    reader, told = os.pipe()
    with open(reader, "rb") as answers:
        pid = os.fork()
        if pid == 0:
            _become(told, out, child)
            code = 1
            try:
                code = main(words)
                sys.stdout.flush()
            except SystemExit as ended:
                code = int(ended.code or 0)
            except BaseException:
                import traceback

                os.write(told, traceback.format_exc().encode())
            finally:
                os._exit(code)
        os.close(told)
        text = answers.read().decode("utf-8", "replace")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def _become(told: int, out: int | None, child: Child) -> None:
    os.dup2(told, 2)
    os.dup2(told if out is None or out < 0 else out, 1)
    if out == -1:
        os.close(1)
    sys.stdout = None if out == -1 else io.TextIOWrapper(open(1, "wb", closefd=False), child.encoding, write_through=False)
    sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), child.encoding, line_buffering=True)
    index.load.cache_clear()
    for step in child.do:
        step()


@contextlib.contextmanager
def disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A small file system."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Fills a file system up to so many bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "filler").write_bytes(bytes(max(0, free - leave)))


def user(number: int = NOBODY) -> Callable[[], None]:
    def become() -> None:
        os.setgid(number)
        os.setuid(number)
        os.environ.pop("HOME", None)

    return become


def limit(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def setting(**variables: str) -> Callable[[], None]:
    return lambda: os.environ.update(variables)


def unsetting(*names: str) -> Callable[[], None]:
    return lambda: [os.environ.pop(name, None) for name in names] and None


def step_of(path: Path) -> int:
    """The step of a checkpoint; -1: it is not there or not whole."""
    try:
        return int(torch.load(path, weights_only=True)["global_step"])
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError):
        return -1


class Case:
    """A folder with data in which commands run; what went wrong is collected."""

    def __init__(self, folder: Path):
        self.folder, self.codes, self.lost, self.tracebacks, self.said = folder, list[int](), 0, 0, ""
        draw = "".join(f"a {'good' if number % 3 else 'bad'} film of {number},{'yes' if number % 3 else 'no'}\n" for number in range(64))
        (folder / "train.csv").write_text(f"text,label\n{draw}")
        (folder / "runs").mkdir(mode=0o777)
        folder.chmod(0o777)
        (folder / "runs").chmod(0o777)

    def command(self, main: Callable[[list[str]], int], *words: str, child: Child | None = None, out: int | None = None) -> str:
        before = {path: step_of(path) for path in self.folder.rglob("*.ckpt")}
        code, told = run(main, list(words), child, out)
        self.codes.append(code)
        logs = "".join(path.read_text(errors="replace") for path in self.folder.rglob("train.log") if path.is_file())
        self.tracebacks += "Traceback" in told or "Traceback" in logs or code < 0 or code == 1
        self.said = self.said or (f"{code}: {told.strip()}".splitlines()[-1] if code else "")
        self.lost += sum(step_of(path) < step for path, step in before.items() if step >= 0)
        if "Traceback" in told or "--show" in sys.argv:
            print(told, file=sys.stderr)
        return told

    def train(self, *words: str, child: Child | None = None, out: int | None = None) -> str:
        return self.command(train_main, *SMALL, *words, child=child, out=out)

    def resume(self, *words: str, child: Child | None = None, out: int | None = None, run: str = "runs/last") -> str:
        return self.command(train_main, f"resume={run}", "trainer.max_epochs=4", *words, child=child, out=out)

    def predict(self, *words: str, child: Child | None = None, out: int | None = None) -> str:
        return self.command(framework_main, "predict", "runs/last", *words, child=child, out=out)

    def whole(self) -> None:
        """The run goes on when the obstacle is gone, and ends as asked."""
        self.resume()
        assert step_of(Path("runs/last/checkpoints/last.ckpt").resolve()) > 0


def full_disk(case: Case) -> None:
    with disk(case.folder / "small") as small:
        case.train(f"runs={small}")
        for leave in (0, 4096, 100_000, 200_000, 500_000):
            fill(small, leave)
            case.resume(run=f"{small}/last", child=Child())
            (small / "filler").unlink()
        case.resume(run=f"{small}/last")
        fill(small)
        case.train(f"runs={small}", "name=later")
        (Path("asked.txt")).write_text("a good film\n" * 2000)
        case.command(framework_main, "predict", f"{small}/last", "file=asked.txt", f"to={small}/answers.jsonl")


def file_sizes(case: Case) -> None:
    case.train()
    for size in (0, 300, 2_000, 20_000, 60_000, 300_000):
        case.resume(child=Child([limit(size)]))
        case.train(f"name=n{size}", child=Child([limit(size)]))
    case.whole()


def read_only(case: Case) -> None:
    with disk(case.folder / "small") as small:
        case.train(f"runs={small}")
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        case.train(f"runs={small}")
        case.resume(run=f"{small}/last")
        case.command(framework_main, "predict", f"{small}/last", "text=a good film")
        case.command(framework_main, "evaluate", f"{small}/last")
        subprocess.run(["mount", "-o", "remount,rw", small], check=True)
        case.resume(run=f"{small}/last")


def of_another_user(case: Case) -> None:
    case.train()
    nobody = Child([user(), setting(PLUGFORMER_CACHE=ELSEWHERE)])
    case.resume(child=nobody)
    case.predict("text=a good film", child=nobody)
    case.predict("file=train.csv", "to=/proc/answers.jsonl")
    case.whole()


def no_home(case: Case) -> None:
    case.train(child=Child([user(), unsetting("PLUGFORMER_CACHE", "XDG_CACHE_HOME")]))
    case.train(child=Child([user(), setting(PLUGFORMER_CACHE=ELSEWHERE)]))
    case.train(child=Child([setting(HOME="/nonexistent/home"), unsetting("PLUGFORMER_CACHE", "XDG_CACHE_HOME"), user_with_home]))


def user_with_home() -> None:
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def no_cache(case: Case) -> None:
    Path("file").touch()
    for place in ("/proc/cache", str(case.folder / "file"), "/dev/null/x"):
        case.train(child=Child([setting(PLUGFORMER_CACHE=place)]))
    with disk(case.folder / "small", "64k") as small:
        fill(small)
        case.train(child=Child([setting(PLUGFORMER_CACHE=str(small))]))
    case.train(child=Child([setting(TMPDIR="/proc")]))


def no_current_folder(case: Case) -> None:
    (case.folder / "closed").mkdir(mode=0o555)
    there, data = (
        Child([user(), setting(PLUGFORMER_CACHE=ELSEWHERE), lambda: os.chdir("closed")]),
        f"data.folder={case.folder}",
    )
    case.train(data, child=there)
    case.train(data, f"runs={case.folder}/runs", child=there)
    (case.folder / "gone").mkdir()
    gone = Child([lambda: os.chdir("gone"), lambda: os.rmdir(case.folder / "gone")])
    case.train(data, f"runs={case.folder}/runs", child=gone)


def closed_output(case: Case) -> None:
    case.train(out=-1)
    case.resume(out=-1, child=Child([lambda: os.close(0), lambda: setattr(sys, "stdin", None)]))
    case.predict("text=a good film", out=-1)
    case.command(train_main, "--help", out=-1)


def full_output(case: Case) -> None:
    with open("/dev/full", "wb") as full:
        case.train(out=full.fileno())
        case.resume(out=full.fileno(), child=Child([lambda: os.dup2(full.fileno(), 2) and None]))
        case.predict("file=train.csv", out=full.fileno())
        case.command(train_main, "--help", out=full.fileno())
        case.command(train_main, *SMALL, "--cfg", "job", out=full.fileno())


def head(case: Case) -> None:
    def closed_pipe() -> int:
        reader, writer = os.pipe()
        os.close(reader)
        return writer

    case.train(out=closed_pipe())
    case.resume(out=closed_pipe())
    for main, words in (
        (train_main, ["--help"]),
        (train_main, [*SMALL, "--cfg", "job"]),
        (framework_main, ["list"]),
        (framework_main, ["predict", "runs/last", "file=train.csv"]),
    ):
        case.command(main, *words, out=closed_pipe())


def ascii_terminal(case: Case) -> None:
    few = Child([setting(LC_ALL="C")], encoding="ascii")
    Path("größe.csv").write_text("text,label\n" + "ein schöner Film,gefällt\nein öder Film,gefällt nicht\n" * 20, encoding="utf-8")
    case.train("name=Grüße", "data.train=größe.csv", "data.validation=größe.csv", child=few)
    case.predict("text=schön", child=few)
    told = case.predict("file=größe.csv", child=few)
    assert "schöner" in json.loads(told.splitlines()[0])["input"] and told.isascii(), told


def no_log(case: Case) -> None:
    case.train()
    log = Path("runs/last/train.log")
    log.unlink()
    log.mkdir()
    case.resume()
    log.rmdir()
    log.symlink_to("/dev/full")
    case.command(train_main, "resume=runs/last", "trainer.max_epochs=5")


def two_comers(case: Case) -> None:
    case.train("name=x")
    codes, words = [], [*SMALL, "name=x", "resume=auto", "trainer.max_epochs=40"]
    comers = [threading.Thread(target=lambda: codes.append(run(train_main, words))) for _ in range(3)]
    for comer in comers:
        comer.start()
    for comer in comers:
        comer.join()
    assert sorted(code for code, _ in codes) == [0, 2, 2], codes
    assert len([*Path("runs/classification").iterdir()]) == 1
    case.codes += [code for code, _ in codes]
    case.said = next(told for code, told in codes if code).strip().splitlines()[-1]
    case.resume("trainer.max_epochs=41")


CASES: dict[str, tuple[str, Callable[[Case], None]]] = {
    "full disk": ("train, resume with 0 to 500 kB left, predict", full_disk),
    "limit of file sizes": ("train and resume with limits of 0 to 300 kB", file_sizes),
    "read-only disk": ("train, resume, predict, evaluate", read_only),
    "folder of another user": ("resume, predict", of_another_user),
    "no HOME, unknown user": ("train without and with PLUGFORMER_CACHE", no_home),
    "no writable cache": ("train: /proc, a file, a full disk; no TMPDIR", no_cache),
    "no writable current folder": ("train without and with runs=DIR; current folder gone", no_current_folder),
    "closed output": ("train, resume, predict, help", closed_output),
    "full output": ("train, resume, predict, help, cfg", full_output),
    "reader gone": ("train, resume, help, cfg, list, predict", head),
    "ASCII terminal": ("train with name=Grüße, predict", ascii_terminal),
    "log that cannot be written": ("resume: a folder, a full disk", no_log),
    "three comers in one folder": ("resume=auto at once", two_comers),
}


def import_what_is_imported_late() -> None:
    """Imports here what a run and a prediction import: another user may not read it later. Neither may run here: a process with threads of
    torch is not to be forked."""

    def used(words: list[str]) -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            train_main([*SMALL, "name=x"])
            framework_main(["predict", "runs/last", "file=train.csv"])
            framework_main(["evaluate", "runs/last"])
        print("\nMODULES", *sys.modules)
        return 0

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Case(Path(folder))
        told = run(used, [])[1]
    ours = (name for package in (framework, plugins) for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    for name in [*told.partition("\nMODULES ")[2].split(), *ours]:
        if name not in sys.modules and "__" not in name and "scaffold" not in name:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    index.load()


def main(names: list[str]) -> int:
    found = {}
    import_what_is_imported_late()
    for name, (what, case) in CASES.items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path(folder).chmod(0o755)
            tried = Case(Path(folder).resolve())
            case(tried)
        found[name] = [what, tried.codes, tried.lost, tried.tracebacks]
        print(
            f"| {name} | {what} | {' '.join(map(str, tried.codes))} | {tried.lost} | {tried.tracebacks} |  {tried.said[:200]}", flush=True
        )
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    found = record.get(SURROUNDINGS, {}).get("cases", {}) | found
    cases = {name: found[name] for name in CASES if name in found}
    record[SURROUNDINGS] = {"command": "python benchmarks/surroundings.py", "cases": cases}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(record), encoding="utf-8")
    return sum(lost + tracebacks for _, _, lost, tracebacks in found.values())


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name != "--show"]))
