"""A folder with a published model: what it is made of, and its weights under our names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from framework import registry
from framework.config import catalogue as index
from framework.errors import UserError
from framework.huggingface.family import Family, Parts
from framework.huggingface.files import PICKLED, WeightFiles, weight_files
from framework.huggingface.nodes import Node, model_node
from framework.huggingface.table import Piece, Shape
from framework.utils.json_table import read_table

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG = "config.json"


@dataclass(frozen=True)
class Published:
    """weights: our name -> where it lies in the files. left: names in the files that we have no use for.
    hf_task: of the head among them, if it is one that a task of ours adds."""

    folder: Path
    config: dict[str, Any]
    family: Family
    parts: Parts
    files: WeightFiles
    weights: dict[str, Piece]
    left: list[str]
    hf_task: str | None

    @classmethod
    def open(cls, path: Path) -> "Published":
        """The model in a folder, or the one of a `pytorch_model.bin` there. UserError: what is lacking, damaged or unknown."""
        folder = path.parent if path.is_file() else path
        pickled = path.name if path.is_file() and path.suffix != ".safetensors" else None
        config = read_config(folder)
        family = family_of(config, folder)
        files = weight_files(folder, pickled)
        try:
            parts = family.ours(config, files.shapes)
        except UserError as error:
            raise UserError(f"{folder}: {error}") from None
        hf_task = family.hf_task(config)
        based = any(name.startswith(f"{family.base}.") for name in files.shapes)
        weights, left = family.table(hf_task, based).ours(files.shapes)
        if not any(name.startswith(("model.encoder.", "model.decoder.")) for name in weights):
            raise UserError(f"{folder} has no weights of a {family.type} in its files: they hold {', '.join(list(files.shapes)[:3])} ...")
        if family.bias is not None:
            parts.values["output_bias"] = family.bias in files.shapes and any(bool(rows.any()) for rows in files.pieces(family.bias))
            if not parts.values["output_bias"]:
                weights.pop("model.lm_head.bias", None)  # zeros: nothing is lost without them
        return cls(folder, config, family, parts, files, weights, left, hf_task)

    def node(self) -> Node:
        """The node of a config that composes this model."""
        return model_node(self.parts, index.load())

    def shapes(self) -> dict[str, Shape]:
        """Our name -> shape, for every weight; nothing of the weights is read."""
        return {name: piece.shape(self.files.shapes[piece.theirs]) for name, piece in self.weights.items()}

    def tensors(self, name: str) -> "Iterator[Tensor]":
        """A weight, by our name, a few rows at a time: views into the file that are dropped when the next ones come."""
        piece = self.weights[name]
        if piece.whole:
            yield from self.files.pieces(piece.theirs)
        else:
            yield piece.of(self.files.whole(piece.theirs))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels in the order of their ids; none where the file tells of none."""
        named = self.config.get("id2label") or {}
        return tuple(str(named[key]) for key in sorted(named, key=int))

    @property
    def vocab_size(self) -> int:
        return int(self.shapes()["model.tokens.weight"][0])


def is_published(path: Path) -> bool:
    """Whether a path is a published model rather than a run."""
    folder = path.parent if path.is_file() or path.name == PICKLED else path
    return (folder / CONFIG).is_file() and not (folder / "config.yaml").is_file()


def load_model(folder: Path | str) -> "nn.Module":
    """A published model of a folder, in evaluation mode. UserError: as `Published.open`, or weights are missing.

    >>> load_model("published")(torch.tensor([[5, 6, 7]])).shape
    torch.Size([1, 3, 16])
    """
    import torch

    from framework.data.spec import DataSpec

    found = Published.open(Path(folder))
    node = found.node()
    with torch.device("meta"):
        model = registry.build(node, spec=DataSpec(found.vocab_size, node["max_length"]))
    shapes = found.shapes()
    own = model.state_dict()
    lacking = [name for name in own if f"model.{name}" not in shapes]
    if lacking:
        raise UserError(
            f"{found.folder} has no weights for {', '.join(lacking[:3])}{f' and {len(lacking) - 3} more' if lacking[3:] else ''}"
        )
    model = model.to_empty(device="cpu")
    fill(model.state_dict(), {name: f"model.{name}" for name in own}, found)
    return model.eval()


class Weights(Protocol):
    """What gives a weight by name, a few rows at a time or whole."""

    def tensors(self, name: str) -> "Iterator[Tensor]": ...


def fill(own: "Mapping[str, Tensor]", names: Mapping[str, str], found: Weights) -> None:
    """Copies weights into tensors; names: name in `own` -> name in `found`. Rows that a table has more than what is found stay."""
    import torch

    with torch.no_grad():
        for mine, name in names.items():
            into, at = own[mine], 0
            for rows in found.tensors(name):
                if not into.ndim:
                    into.copy_(rows)
                    continue
                count = min(len(rows), len(into) - at)
                into[at : at + count].copy_(rows[:count])
                at += count


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. UserError: there is none, or it is damaged."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} is neither a run nor a published model: it has no config.yaml and no {CONFIG}")
    return read_table(path)


def family_of(config: Mapping[str, Any], folder: Path) -> Family:
    """The family that a config.json is of. UserError: none that we have parts for."""
    families = {name: registry.get(f"family/{name}")() for name in index.load().options["family"]}
    for family in families.values():
        if family.suits(config):
            return family
    known = sorted({family.type for family in families.values()})
    told = config.get("model_type")
    near = registry.nearest(str(told), known)
    raise UserError(f"{folder / CONFIG} has model_type={told!r}, which is none of the families there are{near}: {', '.join(known)}")
