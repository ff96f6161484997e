"""Published models in folders: config.json, and the weights under the names of this framework."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework import registry
from framework.config import catalogue as index
from framework.errors import UserError
from framework.huggingface.check import check_weights
from framework.huggingface.family import Family, Parts
from framework.huggingface.files import PICKLED, WeightFiles, weight_files
from framework.huggingface.node import Node, model_node
from framework.huggingface.weight_map import Shape, TensorSlice
from framework.utils.json_files import read_table
from framework.utils.typed import check_fields, shown
from framework.weights.meta import on_meta
from framework.weights.shapes import few, mismatches
from framework.weights.shapes import shapes as shapes_of

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG = "config.json"
_TYPES: dict[str, Any] = {  # of the entries that are no options of a model
    "model_type": str,
    "architectures": list[str] | None,
    "id2label": dict[str, str] | None,
    "decoder_start_token_id": int | None,
    "pad_token_id": int | None,
    "vocab_size": int,
}
WeightReader = Callable[[str], "Iterable[Tensor]"]  # name of a weight -> successive chunks of its rows


@dataclass(frozen=True)
class PublishedModel:
    """A published model. weights: weight name -> slice of a file's tensor. unexpected: tensors in the files without a counterpart here.
    hf_task: task of the head in the files; None for a base model or an unknown head."""

    folder: Path
    config: dict[str, Any]
    family: Family
    parts: Parts
    files: WeightFiles
    weights: dict[str, TensorSlice]
    unexpected: list[str]
    hf_task: str | None

    @classmethod
    def open(cls, path: Path) -> "PublishedModel":
        """The model in a folder, or of a `pytorch_model.bin` in one. UserError: a file is missing or damaged, or the model unsupported."""
        folder = path.parent if path.is_file() else path
        pickled = path.name if path.is_file() and path.suffix != ".safetensors" else None
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder} is neither a run nor a published model: it has no config.yaml and no {CONFIG}")
        config = read_table(folder / CONFIG)
        check_fields(config, _TYPES, folder / CONFIG)
        files = None
        if "model_type" not in config:
            files = weight_files(folder, pickled)
            config = {**config, "model_type": deduced_type(config, folder, files.shapes)}
        family = family_of(config, folder)
        files = files or weight_files(folder, pickled)
        try:
            parts = family.from_hf(config, files.shapes)
        except UserError as error:
            raise UserError(f"{folder}: {error}") from None
        hf_task = family.hf_task(config, files.shapes)
        prefixed = any(name.startswith(f"{family.base_prefix}.") for name in files.shapes)
        table = family.weight_table(hf_task, prefixed, model_node(parts, index.load()))
        weights, unexpected = table.from_hf(files.shapes)
        if not any(name.startswith(("model.encoder.", "model.decoder.")) for name in weights):
            names = ", ".join(list(files.shapes)[:3])
            raise UserError(f"{folder} has no weights of a {family.model_type} model; its files hold {names} ...")
        check_weights(config, weights, files, family, parts, folder)
        if (bias := family.output_bias) is not None:
            parts.values["output_bias"] = bias in files.shapes and any(bool(rows.any()) for rows in files.chunks(bias))
            if not parts.values["output_bias"]:
                weights.pop("model.lm_head.bias", None)  # zeros: the model is the same without them
        return cls(folder, config, family, parts, files, weights, unexpected, hf_task)

    def node(self) -> Node:
        """Config node that composes this model."""
        return model_node(self.parts, index.load())

    def shapes(self) -> dict[str, Shape]:
        """Weight name -> shape, from the file headers."""
        return {name: piece.shape(self.files.shapes[piece.hf_name]) for name, piece in self.weights.items()}

    def tensors(self, name: str) -> "Iterator[Tensor]":
        """A weight as successive chunks of its rows, each valid until the next one."""
        piece = self.weights[name]
        if piece.whole:
            yield from self.files.chunks(piece.hf_name)
        else:
            yield piece.view(self.files.tensor(piece.hf_name))

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of their ids; empty without `id2label`."""
        id2label = self.config.get("id2label") or {}
        if not all(key.isascii() and key.isdigit() and len(key) < 10 for key in id2label):
            raise UserError(f"{self.folder / CONFIG}: the keys of id2label must be numbers of labels; they are {shown([*id2label])}")
        return tuple(id2label[key] for key in sorted(id2label, key=int))

    @property
    def vocab_size(self) -> int:
        return int(self.shapes()["model.tokens.weight"][0])


def is_published(path: Path) -> bool:
    """Whether a path is a published model rather than a run."""
    folder = path.parent if path.is_file() or path.name == PICKLED else path
    return (folder / CONFIG).is_file() and not (folder / "config.yaml").is_file()


def load_model(folder: Path | str) -> "nn.Module":
    """A published model in evaluation mode. UserError: see `PublishedModel.open`; or weights are missing.

    >>> load_model("published")(torch.tensor([[5, 6, 7]])).shape
    torch.Size([1, 3, 16])
    """
    from framework.data.spec import DataSpec

    published = PublishedModel.open(Path(folder))
    node = published.node()
    shapes = published.shapes()
    with on_meta(str(published.folder / CONFIG), len(shapes)):
        model = registry.build(node, spec=DataSpec(published.vocab_size, node["max_length"]))
    names = {name: f"model.{name}" for name in model.state_dict()}
    if missing := [name for name in names if names[name] not in shapes]:
        raise UserError(f"{published.folder} has no weights for {few(missing)}")
    own = shapes_of(model.state_dict())
    if wrong := mismatches(own, {name: shapes[there] for name, there in names.items()}):
        raise UserError("\n".join([f"{published.folder} holds the weights of another model than its {CONFIG} describes", *wrong]))
    model = model.to_empty(device="cpu")
    copy_weights(model.state_dict(), names, published.tensors)
    return model.eval()


def copy_weights(state: "Mapping[str, Tensor]", names: Mapping[str, str], read: WeightReader) -> None:
    """Copies weights into a state dict; names: name in `state` -> name for `read`. Further rows of a larger table stay as they are."""
    import torch

    with torch.no_grad():
        for name, source in names.items():
            target, start = state[name], 0
            for rows in read(source):
                if not target.ndim:
                    target.copy_(rows)
                    continue
                count = min(len(rows), len(target) - start)
                target[start : start + count].copy_(rows[:count])
                start += count


def deduced_type(config: Mapping[str, Any], folder: Path, names: Collection[str]) -> str:
    """The model_type of a config.json that has none, by its class or the names of the tensors. UserError: none fits, or several do."""
    families = _families()
    by_class = {family.model_type for family in families if family.has_class(config)}
    fitting = sorted(by_class or {family.model_type for family in families if family.has_names(names)})
    if len(fitting) == 1:
        return fitting[0]
    choices = fitting or sorted({family.model_type for family in families})
    raise UserError(
        f"{folder / CONFIG} has no model_type, and by its class and weights it is of {'one of several families' if fitting else 'none'}.\n"
        f'Add the line of its family to it: "model_type": "{choices[0]}"' + "".join(f' or "{each}"' for each in choices[1:])
    )


def _families() -> list[Family]:
    return [registry.get(f"family/{name}")() for name in index.load().options["family"]]


def family_of(config: Mapping[str, Any], folder: Path) -> Family:
    """The family of a config.json. UserError: it is not supported."""
    families = _families()
    for family in families:
        if family.matches(config):
            return family
    known, model_type = sorted({family.model_type for family in families}), config.get("model_type")
    near = registry.nearest(str(model_type), known)
    raise UserError(f"{folder / CONFIG} has model_type={model_type!r}, which is not supported{near}; supported: {', '.join(known)}")
