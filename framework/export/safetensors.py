"""A run as this framework has it, without what only training needs: weights under our own names, config, tokenizer, data spec."""

import json
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import Tokenizer
from framework.errors import UserError
from framework.registry import build, nearest
from framework.runs.build import make_task
from framework.runs.checkpoint import Loaded, fill

LIBRARY = "plugformer"
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WEIGHTS, CONFIG, TOKENIZER, SPEC = "model.safetensors", "config.yaml", "tokenizer.json", "data_spec.json"
_SHARED = "shared"  # in the file's header: name -> the name that the same weights are saved under


def write(loaded: Loaded, folder: Path, dtype: str = "float32") -> list[str]:
    """Writes model.safetensors, config.yaml, tokenizer.json and data_spec.json. Gives the lines that load them.

    dtype: of the weights in the file: float32, bfloat16 or float16. UserError: another one.
    """
    if dtype not in TYPES:
        raise UserError(f"dtype={dtype}: there is no such type of weights{nearest(dtype, TYPES)}; there are: {', '.join(TYPES)}")
    weights, shared = apart(loaded.task.state_dict())
    wanted = {name: value.to(TYPES[dtype]) if value.is_floating_point() else value for name, value in weights.items()}
    save_file(wanted, folder / WEIGHTS, metadata={"format": "pt", _SHARED: json.dumps(shared)})
    (folder / CONFIG).write_text(yaml.safe_dump(loaded.config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    loaded.tokenizer.save(folder / TOKENIZER)
    loaded.spec.save(folder / SPEC)
    return [
        "from framework.export.safetensors import load",
        'loaded = load("FOLDER")',
        "",
        "loaded.task  # a torch.nn.Module in evaluation mode; loaded.format and loaded.tokenizer make its batches",
    ]


def apart(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a module, each once, and the other names of those that have several."""
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    names = {name: first.setdefault((value.data_ptr(), tuple(value.shape)), name) for name, value in state.items() if value.numel()}
    shared = {name: other for name, other in names.items() if name != other}
    return {name: value.detach().contiguous() for name, value in state.items() if name not in shared}, shared


def load(folder: Path | str) -> Loaded:
    """What `write` wrote, ready to predict, in float32. UserError: a file is missing, damaged, or of another model."""
    folder = Path(folder)
    for name in (CONFIG, SPEC, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}: it was not exported with to=safetensors, or not whole")
    config, spec = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")), DataSpec.load(folder / SPEC)
    format = build(config["task"]["format"])
    task = make_task(config, spec, format)
    fill(task, weights_of(folder / WEIGHTS), folder / WEIGHTS)
    return Loaded(task.eval(), format, Tokenizer.load(folder / TOKENIZER), spec, config, folder / WEIGHTS)


def weights_of(path: Path) -> dict[str, Tensor]:
    """Every name and its tensor. UserError: the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            shared = json.loads((file.metadata() or {}).get(_SHARED, "{}"))
    except SafetensorError as error:
        raise UserError(f"{path} is truncated or damaged ({path.stat().st_size:,} bytes): {error}") from error
    return state | {name: state[other] for name, other in shared.items() if other in state}
