"""Small folders that are as they should be, of every kind that somebody may be sent: runs, exports, adapters, published models."""

import json
from pathlib import Path
from typing import Any

import torch

from framework import registry
from framework.config import catalogue as index
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer
from framework.export.command import export
from framework.huggingface.folder import CONFIG
from framework.huggingface.node import model_node
from framework.huggingface.writing import model_config, to_hf_weights, write_json, write_tokenizer
from framework.registry import as_part
from framework.weights.safetensors_files import save_tensors
from tests.export.runs import make_run

ENCODER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 40}
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 24, "encoder_attention_heads": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
ROPE = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
FAMILIES: dict[str, dict[str, Any]] = {  # name of the family -> sizes in its config.json
    "bert": ENCODER,
    "roberta": ENCODER,
    "albert": {**ENCODER, "embedding_size": 8},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 40},
    "modernbert": {**ENCODER, "local_attention": 8, "layer_types": ["full_attention", "sliding_attention"]},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "llama": {**ENCODER, "num_key_value_heads": 1, "rope_scaling": {**ROPE, "original_max_position_embeddings": 16}},
    "qwen2": {**ENCODER, "num_key_value_heads": 1},
    "bart": {**BART, "decoder_ffn_dim": 24, "decoder_attention_heads": 2, "max_position_embeddings": 40},
    "marian": {**BART, "decoder_ffn_dim": 24, "decoder_attention_heads": 2, "max_position_embeddings": 40},
    "t5": T5,
    "t5_1_1": {**T5, "feed_forward_proj": "gated-gelu"},
}


def published(folder: Path, name: str) -> Path:
    """A published model of a family, with random weights and a tokenizer of bytes."""
    folder.mkdir(parents=True)
    family = registry.get(f"family/{name}")()
    tokenizer = BytesTokenizer().train(lambda: ())
    config = {"model_type": family.model_type, "pad_token_id": 0, **FAMILIES[name]}
    node = model_node(family.from_hf(config, ()), index.load())
    special = tokenizer.special_ids
    named = {role: special[role] for role in ("begin", "end", "unknown", "mask")}
    spec = DataSpec(tokenizer.vocab_size, node["max_length"], **named)
    torch.manual_seed(0)
    state = {f"model.{key}": value for key, value in as_part(node)(spec=spec).state_dict().items()}
    labels = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    written = model_config({**config, **family.to_hf(node, spec)}, family.base_architecture, spec, labels, None)
    write_json(folder / CONFIG, {**written, "decoder_start_token_id": 0} if "decoder." in str(family.weights) else written)
    weights = to_hf_weights(family, state, None)
    save_tensors(weights, folder / "model.safetensors", {"format": "pt"})
    write_tokenizer(tokenizer, spec, None, folder)
    return folder


def sharded(folder: Path) -> Path:
    """A BERT in two files with an index."""
    from safetensors.torch import load_file, save_file

    published(folder, "bert")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    files = {name: f"model-0000{1 + (number >= len(names) // 2)}-of-00002.safetensors" for number, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in names if files[name] == file}, folder / file, {"format": "pt"})
    (folder / "model.safetensors").unlink()
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": files})
    return folder


def run(root: Path, task: str, *words: str, **spec: Any) -> Path:
    """A run that was never trained. See `tests.export.runs.make_run`."""
    return make_run(root, task, "model.dim=8", "model.num_layers=1", "model.num_heads=2", *words, spec=spec or None)


def exported(root: Path) -> Path:
    """A run that was exported for this framework."""
    export(run(root, "classification"), ["to=safetensors", f"folder={root / 'exported'}"])
    return root / "exported"


def adapter(root: Path) -> Path:
    """The folder of an exported adapter."""
    export(run(root, "classification", "model/adapter=lora", "model.adapter.rank=2"), ["to=adapter", f"folder={root / 'adapter'}"])
    return root / "adapter"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def folders(root: Path) -> dict[str, Path]:
    """The good folders of `folders.CASES` by name."""
    made = {"run": run(root / "run", "classification"), "exported": exported(root / "exported"), "adapter": adapter(root / "adapter")}
    return {
        **made,
        "published": published(root / "published", "bert"),
        "albert": published(root / "albert", "albert"),
        "sharded": sharded(root / "sharded"),
    }
