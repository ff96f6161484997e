"""Folders that are hostile or damaged on purpose, each made of a good one.

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
    """base: the good folder (`benchmarks/hostile_folders.py` makes them). kind: see `opening.WAYS`. opens: what is changed is harmless, and
    only part of what one can do with the folder may be refused."""

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


ALIASES = "z0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"z{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
HEADER = struct.pack("<Q", 1 << 60) + b'{"a":1}'
EVIL = "import pathlib\npathlib.Path(__file__).resolve().parents[1].joinpath('ran').touch()\n"
BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R."  # bytearray(64 GB)
PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *((letter, -1.0, 1) for letter in "abcdefgh")]


def _expanded(state: dict[str, Any], folder: Path) -> Any:
    return {"state_dict": {name: torch.zeros(1).expand(10**6, 10**6) for name in state}}


def _cast(dtype: torch.dtype) -> Callable[[dict[str, Any], Path], Any]:
    return lambda state, folder: {"state_dict": {name: value.to(dtype) for name, value in state.items()}}


def _old(state: dict[str, Any], folder: Path) -> Any:
    return {"state_dict": state, "more": Runs(folder)}


def _old_layout(folder: Path) -> None:
    path = folder / "checkpoints" / "best.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    path.unlink()
    torch.save(_old(state, folder), path, _use_new_zipfile_serialization=False)


def _pickled(folder: Path) -> None:
    written("checkpoints/best.ckpt", pickle.dumps(Runs(folder)))(folder)


def _bin(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": Runs(folder)}, folder / "pytorch_model.bin")


def _code(folder: Path) -> None:
    """Everything that programs with trust_remote_code would run, and modules with names of libraries."""
    for name in ("modeling_x.py", "torch.py", "sitecustomize.py", "__init__.py", "conftest.py", "tokenization_x.py"):
        written(name, EVIL)(folder)
    written("plugins/evil/__init__.py", EVIL)(folder)
    edited("config.json", "auto_map", to={"AutoModel": "modeling_x.Model", "AutoConfig": "modeling_x.Config"})(folder)
    edited("tokenizer_config.json", "chat_template", to="{{ ''.__class__.__mro__[1].__subclasses__() }}")(folder)


def _plugins(folder: Path) -> None:
    for name in ("plugins/evil/__init__.py", "torch.py", "framework/__init__.py", "sitecustomize.py", "conf/evil.yaml"):
        written(name, EVIL)(folder)


def _command(folder: Path) -> None:
    begun("config.yaml", f"x: !!python/object/apply:os.system ['touch {folder.parent / 'ran'}']\n")(folder)


RUN, OUT, PUB = "run", "exported", "published"
CASES = [
    Case("config.yaml: aliases of aliases", RUN, begun("config.yaml", ALIASES), RUN),
    Case("config.yaml: 100,000 lists in one another", RUN, begun("config.yaml", f"x: {'[' * 100_000}\n"), RUN),
    Case("config.yaml: 3 MB of values", RUN, begun("config.yaml", "x: [" + "1," * 1_500_000 + "1]\n"), RUN),
    Case("config.yaml: a command by a tag", RUN, _command, RUN),
    Case("config.yaml: a part that is a function of Python", RUN, edited("config.yaml", "model", "part", to="os/system"), RUN),
    Case("config.yaml: a part that is a module", RUN, edited("config.yaml", "model", "attention", "part", to="attention/__init__"), RUN),
    Case("config.yaml: a part that is a path", RUN, edited("config.yaml", "task", "format", "part", to="format/../../x"), RUN),
    Case("config.yaml: ten million layers", RUN, edited("config.yaml", "model", "num_layers", to=10**7), RUN),
    Case("config.yaml: 4,000 layers", RUN, edited("config.yaml", "model", "num_layers", to=4000), RUN),
    Case("config.yaml: a width of 10^9", RUN, edited("config.yaml", "model", "dim", to=10**9), RUN),
    Case("config.yaml: a length of 10^12", RUN, edited("config.yaml", "model", "max_length", to=10**12), RUN),
    Case("config.yaml: an integer of a million digits", RUN, begun("config.yaml", f"x: {'9' * 1_000_000}\n"), RUN),
    Case("config.yaml: bytes, dates and sets", RUN, begun("config.yaml", "x: 2001-99-99\ny: !!binary aGk=\nz: !!set {a}\n"), RUN),
    Case("config.yaml: a pipe", RUN, piped("config.yaml"), RUN),
    Case("config.yaml: a link to an endless device", RUN, linked("config.yaml", "/dev/zero"), RUN),
    Case("data_spec.json: a vocabulary of 10^12", RUN, edited("data_spec.json", "vocab_size", to=10**12), RUN),
    Case("data_spec.json: an id beyond the vocabulary", RUN, edited("data_spec.json", "end", to=10**6), RUN),
    Case("data_spec.json: numbers for labels", RUN, edited("data_spec.json", "labels", to=[1, 2, 3]), RUN),
    Case("data_spec.json: a million labels", RUN, edited("data_spec.json", "labels", to=list(map(str, range(10**6)))), RUN),
    Case("data_spec.json: a pipe", RUN, piped("data_spec.json"), RUN),
    Case("run.json: a text for its overrides", RUN, edited("run.json", "overrides", to="model=x"), RUN),
    Case("run.json: a distribution that is not there", RUN, edited("run.json", "parts", to={"model/encoder_only": "evil 1.0"}), RUN),
    Case("run.json: an interpolation", RUN, edited("run.json", "overrides", to=["data.train=${oc.env:HOME}", "name=${now:%Y}"]), RUN, True),
    Case("metrics.json: texts and nothing", RUN, written("metrics.json", '{"test/loss": "x", "a": null}'), RUN, True),
    Case("labels.csv: no table", RUN, written("labels.csv", b"\xff\x00,,\n1"), RUN, True),
    Case("checkpoint: a command", RUN, checkpoint(_old), RUN),
    Case("checkpoint: a command, in the old layout", RUN, _old_layout, RUN),
    Case("checkpoint: a plain pickle", RUN, _pickled, RUN),
    Case("checkpoint: a pickle that allocates 64 GB", RUN, archived(BYTEARRAY), RUN),
    Case("checkpoint: 2 GB of zeros, deflated", RUN, archived(b"\x80\x02}.", zipfile.ZIP_DEFLATED, 1 << 31), RUN),
    Case("checkpoint: a pickle of 60 MB", RUN, archived(b"\x80\x02" + b"]" * 60_000_000 + b"."), RUN),
    Case("checkpoint: a pickle of 4 MB of lists", RUN, archived(b"\x80\x02" + b"]" * 4_000_000 + b"."), RUN),
    Case("checkpoint: tensors of 10^12 numbers in one", RUN, checkpoint(_expanded), RUN),
    Case("checkpoint: integers of 8 bits", RUN, checkpoint(_cast(torch.int8)), RUN),
    Case("checkpoint: complex numbers", RUN, checkpoint(_cast(torch.complex64)), RUN),
    Case("checkpoint: booleans", RUN, checkpoint(_cast(torch.bool)), RUN),
    Case("checkpoint: other names", RUN, checkpoint(lambda state, folder: {"state_dict": {f"task.{n}": v for n, v in state.items()}}), RUN),
    Case("checkpoint: a flipped bit", RUN, flipped("checkpoints/best.ckpt", 0.6), RUN),
    Case("checkpoint: cut in the middle", RUN, cut("checkpoints/best.ckpt"), RUN),
    Case("checkpoint: a link to an endless device", RUN, linked("checkpoints/best.ckpt", "/dev/zero"), RUN),
    Case("links: the folder of checkpoints", RUN, linked("checkpoints", "outside/checkpoints"), "resumed"),
    Case("links: the log", RUN, linked("train.log", "outside/train.log"), "resumed"),
    Case("links: the metrics", RUN, linked("metrics.csv", "outside/metrics.csv"), "resumed"),
    Case("modules of Python beside the config", RUN, _plugins, RUN, True),
    Case("tokenizer: letters doubled 40 times", RUN, doubled(40), RUN),
    Case("tokenizer: letters doubled 10 times", RUN, doubled(10), RUN),
    Case("tokenizer: a decoder that doubles", RUN, doubled(20, "decoder"), RUN),
    Case("tokenizer: a text between any two characters", RUN, replaced("", "x" * 4000), RUN),
    Case("tokenizer: an expression that backtracks", RUN, replaced("([a-z ]+[a-z ]+)+!", ""), RUN, True),
    Case("tokenizer: 30 components in one another", RUN, nested(29), RUN, True),
    Case("tokenizer: 5,000 components in one another", RUN, nested(300), RUN),
    Case("tokenizer: a letter that stands for 100,000", RUN, mapped(), RUN),
    Case("tokenizer: an id of 2^31", RUN, edited("tokenizer.json", "model", "vocab", "a", to=2**31 - 1), RUN),
    Case("tokenizer: an id beyond the table", RUN, edited("tokenizer.json", "model", "vocab", "a", to=5000), RUN),
    Case("tokenizer: a token of a million letters", RUN, edited("tokenizer.json", "model", "vocab", "a" * 10**6, to=70), RUN),
    Case("tokenizer: 80 MB", RUN, written("tokenizer.json", '{"x": "' + "y" * 80_000_000 + '"}'), RUN),
    Case("tokenizer: 9 million lists", RUN, written("tokenizer.json", "[" + "[]," * 9_000_000 + "[]]"), RUN),
    Case("export: a flipped bit", OUT, flipped("model.safetensors", 0.7), RUN),
    Case("export: cut before its end", OUT, cut("model.safetensors", 0.9), RUN),
    Case("export: integers of 8 bits", OUT, tensors(lambda state: {n: v.to(torch.int8) for n, v in state.items()}), RUN),
    Case("adapter: a flipped bit", "adapter", flipped("adapter.safetensors", 0.9), "adapter"),
    Case("adapter: a header of 2^60 bytes", "adapter", written("adapter.safetensors", HEADER), "adapter"),
    Case("published: a width of 10^9", PUB, edited("config.json", "hidden_size", to=10**9), PUB),
    Case("published: a width of 10^18 and as many heads", PUB, both(*(edited("config.json", k, to=10**18) for k in ("hidden_size", "num_attention_heads"))), PUB),
    Case("published: ten million layers", PUB, edited("config.json", "num_hidden_layers", to=10**7), PUB),
    Case("published: ten million layers that share weights", "albert", edited("config.json", "num_hidden_layers", to=10**7), PUB),
    Case("published: a vocabulary of 10^12", PUB, edited("config.json", "vocab_size", to=10**12), PUB),
    Case("published: an interpolation", PUB, edited("config.json", "hidden_size", to="${oc.env:HOME}"), PUB),
    Case("published: lists 50,000 deep", PUB, written("config.json", '{"model_type": "bert", "x": ' + "[" * 50_000 + "]" * 50_000 + "}"), PUB),
    Case("published: code of its own", PUB, _code, PUB, True),
    Case("published: a command in pytorch_model.bin", PUB, _bin, PUB, True),
    Case("published: a header of 2^60 bytes", PUB, written("model.safetensors", HEADER), PUB),
    Case("published: a flipped bit", PUB, flipped("model.safetensors", 0.9), PUB, True),
    Case("published: integers of 8 bits", PUB, tensors(lambda state: {n: v.to(torch.int8) for n, v in state.items()}), PUB, True),
    Case("published: floats of 8 bits", PUB, tensors(lambda state: {n: v.to(torch.float8_e4m3fn) for n, v in state.items()}), PUB, True),
    Case("published: an index with paths", "sharded", edited("model.safetensors.index.json", "weight_map", "x", to="../../../etc/passwd"), PUB, True),
    Case("published: an index with an absolute path", "sharded", edited("model.safetensors.index.json", "weight_map", "x", to="/etc/passwd"), PUB, True),
    Case("published: ids beyond the table", PUB, edited("tokenizer.json", "model", "vocab", "a", to=5000), PUB, True),
    Case("published: 10^9 sentinels", PUB, both(sentencepiece(PIECES, {}), edited("config.json", "model_type", to="t5"), written("tokenizer_config.json", '{"extra_ids": 1000000000}')), "tokenizer"),
    Case("published: a sentencepiece of 2 million letters", PUB, both(sentencepiece([*PIECES, ("ab" * 10**6, -1.0, 1)], {}), edited("config.json", "model_type", to="llama")), "tokenizer"),
    Case("published: a sentencepiece map of a letter to 100,000", PUB, both(sentencepiece(PIECES, {2: charsmap({"a": "x" * 100_000})}), edited("config.json", "model_type", to="llama")), "tokenizer"),
]
