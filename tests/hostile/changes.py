"""Changes that make a good folder hostile or damaged.

What tries to run leaves the file `ran` beside the folder; what tries to write elsewhere, writes into the folder `outside` beside it.
"""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.data.published_toys import charsmap, sentencepiece_bytes
from tests.hostile.good import read

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """base: the good folder (`benchmarks/hostile_folders.py` makes them). kind: see `opening.WAYS`. opens: what is changed is harmless, so
    the first way to open the folder must work."""

    name: str
    base: str
    change: Change
    kind: str
    opens: bool = False


def edited(file: str, *path: Any, to: Any) -> Change:
    """A field of a JSON or YAML file gets another value."""

    def change(folder: Path) -> None:
        target = folder / file
        whole = yaml.safe_load(target.read_text()) if file.endswith("yaml") else read(target)
        node = whole
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = to
        written(file, yaml.safe_dump(whole, sort_keys=False) if file.endswith("yaml") else json.dumps(whole))(folder)

    return change


def written(file: str, text: str | bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(text.encode() if isinstance(text, str) else text)

    return change


def begun(file: str, text: str) -> Change:
    """Text before a file."""
    return lambda folder: written(file, text + (folder / file).read_text())(folder)


def linked(file: str, target: str) -> Change:
    """A link in the place of a file or folder, whose content is moved to the target where that is in `outside`."""

    def change(folder: Path) -> None:
        place = folder / file
        if target.startswith("outside/"):
            (folder.parent / target).parent.mkdir(exist_ok=True)
            if place.exists():
                place.rename(folder.parent / target)
            else:
                (folder.parent / target).touch()
            place.symlink_to(folder.parent / target)
        else:
            place.unlink(missing_ok=True)
            place.symlink_to(target)

    return change


def piped(file: str) -> Change:
    def change(folder: Path) -> None:
        (folder / file).unlink()
        os.mkfifo(folder / file)

    return change


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, folder: Path):
        self.command = f"touch {folder.parent / 'ran'}"

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def checkpoint(make: Callable[[dict[str, Any], Path], Any]) -> Change:
    """Another content of the checkpoint; make: the state and the folder -> the content."""

    def change(folder: Path) -> None:
        path = folder / "checkpoints" / "best.ckpt"
        content = torch.load(path, weights_only=True)
        path.unlink()
        torch.save(make(content["state_dict"], folder), path)

    return change


def archived(pickled: bytes, compression: int = zipfile.ZIP_STORED, data: int = 0) -> Change:
    """An archive with this pickle, and one storage of zeros."""

    def change(folder: Path) -> None:
        path = folder / "checkpoints" / "best.ckpt"
        path.unlink()
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("x/data.pkl", pickled)
            archive.writestr("x/byteorder", "little")
            archive.writestr("x/version", "3\n")
            with archive.open("x/data/0", "w") as file:
                for _ in range(data >> 20):
                    file.write(bytes(1 << 20))

    return change


def flipped(file: str, share: float = 0.5) -> Change:
    """A bit in the middle of a file is another."""

    def change(folder: Path) -> None:
        content = bytearray((folder / file).read_bytes())
        content[int(share * len(content))] ^= 4
        written(file, bytes(content))(folder)

    return change


def cut(file: str, share: float = 0.5) -> Change:
    def change(folder: Path) -> None:
        content = (folder / file).read_bytes()
        written(file, content[: int(share * len(content))])(folder)

    return change


def tensors(make: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Other tensors in model.safetensors."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        state = make({name: value.clone() for name, value in load_file(path).items()})
        path.unlink()
        save_file(state, path, {"format": "pt"})

    return change


def doubled(times: int, kind: str = "normalizer") -> Change:
    """A tokenizer whose normalizer or decoder makes two of each letter, again and again."""
    parts = [{"type": "Replace", "pattern": {"String": letter}, "content": letter * 2} for letter in "aeo" for _ in range(times)]
    name = "normalizers" if kind == "normalizer" else "decoders"
    return edited("tokenizer.json", kind, to={"type": "Sequence", name: parts})


def replaced(pattern: str, content: str) -> Change:
    return edited("tokenizer.json", "normalizer", to={"type": "Replace", "pattern": {"Regex": pattern}, "content": content})


def nested(depth: int) -> Change:
    node: Any = {"type": "NFC"}
    for _ in range(depth):
        node = {"type": "Sequence", "normalizers": [node]}
    return edited("tokenizer.json", "normalizer", to=node)


def mapped() -> Change:
    """A sentencepiece character map in which a letter stands for a text of 100,000 characters."""
    import base64

    table = base64.b64encode(charsmap({"a": "x" * 100_000})).decode()
    return edited("tokenizer.json", "normalizer", to={"type": "Precompiled", "precompiled_charsmap": table})


def sentencepiece(pieces: list[tuple[str, float, int]], normalizer: dict[int, Any]) -> Change:
    def change(folder: Path) -> None:
        for path in folder.glob("tokenizer*"):
            path.unlink()
        (folder / "spiece.model").write_bytes(sentencepiece_bytes(pieces, {3: 2}, normalizer))

    return change


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


ALIASES = "z0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"z{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
HEADER = struct.pack("<Q", 1 << 60) + b'{"a":1}'
EVIL = "import pathlib\npathlib.Path(__file__).resolve().parents[1].joinpath('ran').touch()\n"
BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R."  # bytearray(64 GB)
PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *((letter, -1.0, 1) for letter in "abcdefgh")]


def expanded(state: dict[str, Any], folder: Path) -> Any:
    return {"state_dict": {name: torch.zeros(1).expand(10**6, 10**6) for name in state}}


def cast(dtype: torch.dtype) -> Callable[[dict[str, Any], Path], Any]:
    return lambda state, folder: {"state_dict": {name: value.to(dtype) for name, value in state.items()}}


def with_a_command(state: dict[str, Any], folder: Path) -> Any:
    return {"state_dict": state, "more": Runs(folder)}


def old_layout(folder: Path) -> None:
    path = folder / "checkpoints" / "best.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    path.unlink()
    torch.save(with_a_command(state, folder), path, _use_new_zipfile_serialization=False)


def plainly_pickled(folder: Path) -> None:
    written("checkpoints/best.ckpt", pickle.dumps(Runs(folder)))(folder)


def pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": Runs(folder)}, folder / "pytorch_model.bin")


def own_code(folder: Path) -> None:
    """Everything that programs with trust_remote_code would run, and modules with names of libraries."""
    for name in ("modeling_x.py", "torch.py", "sitecustomize.py", "__init__.py", "conftest.py", "tokenization_x.py"):
        written(name, EVIL)(folder)
    written("plugins/evil/__init__.py", EVIL)(folder)
    edited("config.json", "auto_map", to={"AutoModel": "modeling_x.Model", "AutoConfig": "modeling_x.Config"})(folder)
    edited("tokenizer_config.json", "chat_template", to="{{ ''.__class__.__mro__[1].__subclasses__() }}")(folder)


def own_modules(folder: Path) -> None:
    for name in ("plugins/evil/__init__.py", "torch.py", "framework/__init__.py", "sitecustomize.py", "conf/evil.yaml"):
        written(name, EVIL)(folder)


def tagged_command(folder: Path) -> None:
    begun("config.yaml", f"x: !!python/object/apply:os.system ['touch {folder.parent / 'ran'}']\n")(folder)


def indexed(file: str) -> Change:
    return edited("model.safetensors.index.json", "weight_map", "x", to=file)
