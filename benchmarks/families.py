"""Writes docs/families.md, `make families`: parts and sizes from the presets, papers and classes from the family tables."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from framework import registry
from framework.config import catalogue as index
from framework.config.constraints import default_node
from framework.config.derived_defaults import effective, normalized
from framework.config.layers import whole_node
from framework.data.spec import DataSpec
from framework.huggingface.family import Family

PAGE = Path(__file__).resolve().parents[1] / "docs" / "families.md"
Node = Mapping[str, Any]

# Heading -> column -> family and the preset shown in the table of parts.
KINDS: dict[str, dict[str, tuple[str, str]]] = {
    "Encoders": {
        "BERT": ("bert", "bert_base"),
        "RoBERTa": ("roberta", "roberta_base"),
        "DistilBERT": ("distilbert", "distilbert_base"),
        "ALBERT": ("albert", "albert_base"),
        "ModernBERT": ("modernbert", "modernbert_base"),
    },
    "Further encoders": {
        "XLM-RoBERTa": ("xlm_roberta", "roberta_base"),
        "ELECTRA": ("electra", "electra_small"),
        "DeBERTaV3": ("deberta_v2", "deberta_v3_base"),
    },
    "Decoders": {
        "GPT-2": ("gpt2", "gpt2"),
        "Llama 3": ("llama", "llama_8b"),
        "Qwen 2": ("qwen2", "qwen2_7b"),
    },
    "Decoders since 2023": {
        "Qwen 3": ("qwen3", "qwen3_0_6b"),
        "Gemma 2": ("gemma2", "gemma2_2b"),
        "Mistral": ("mistral", "mistral_7b"),
        "SmolLM 3": ("smollm3", "smollm3_3b"),
    },
    "Decoders since 2024": {
        "Gemma 3 (text)": ("gemma3_text", "gemma3_1b"),
        "OLMo 2": ("olmo2", "olmo2_1b"),
        "Phi-3": ("phi3", "phi3_mini"),
    },
    "Decoders with mixtures of experts": {
        "Mixtral": ("mixtral", "mixtral_8x7b"),
        "DeepSeek-V2": ("deepseek_v2", "deepseek_v2_lite"),
        "gpt-oss": ("gpt_oss", "gpt_oss_20b"),
    },
    "Encoder-decoders": {
        "T5": ("t5", "t5_base"),
        "T5 1.1, flan-T5": ("t5_1_1", "flan_t5_base"),
        "BART": ("bart", "bart_base"),
        "Marian, opus-mt": ("marian", "marian"),
    },
    "Further encoder-decoders": {
        "mT5": ("mt5", "flan_t5_small"),
        "Pegasus": ("pegasus", "pegasus_large"),
    },
}
# Sizes of the published vocabularies, which the presets leave to the tokenizer.
VOCABULARIES = {
    "bert_tiny": 30522,
    "bert_mini": 30522,
    "bert_small": 30522,
    "bert_base": 30522,
    "bert_large": 30522,
    "minilm_l6": 30522,
    "roberta_base": 50265,
    "roberta_large": 50265,
    "electra_small": 30522,
    "deberta_v3_base": 128100,
    "distilbert_base": 30522,
    "albert_base": 30000,
    "modernbert_base": 50368,
    "modernbert_large": 50368,
    "gpt2": 50257,
    "gpt2_medium": 50257,
    "gpt2_large": 50257,
    "gpt2_xl": 50257,
    "llama_1b": 128256,
    "llama_3b": 128256,
    "llama_8b": 128256,
    "qwen2_0_5b": 151936,
    "qwen2_1_5b": 151936,
    "qwen2_7b": 152064,
    "qwen3_0_6b": 151936,
    "gemma2_2b": 256000,
    "mistral_7b": 32000,
    "smollm3_3b": 128256,
    "gemma3_1b": 262144,
    "olmo2_1b": 100352,
    "phi3_mini": 32064,
    "mixtral_8x7b": 32000,
    "deepseek_v2_lite": 102400,
    "gpt_oss_20b": 201088,
    "t5_small": 32128,
    "t5_base": 32128,
    "t5_large": 32128,
    "flan_t5_small": 32128,
    "flan_t5_base": 32128,
    "bart_base": 50265,
    "bart_large": 50265,
    "marian": 58101,
    "pegasus_large": 96103,
}
TASKS = {
    "fill-mask": "task=pretraining",
    "text-classification": "task=classification",
    "token-classification": "task=ner",
    "text-generation": "task=completion",
    "text2text-generation": "task=translation",
}
OVERRIDES = {  # head variant -> overrides that compute the same scores
    "pooler, linear": " task.pooling=pooler",
    "first, dense tanh": " task.pooling=first task/classifier=dense",
    "first, dense relu": " task.pooling=first task/classifier=dense task.classifier.activation=relu",
    "first, dense gelu": " task.pooling=first task/classifier=dense task.classifier.activation=gelu",
    "last, linear without bias": " task.pooling=last task.classifier.bias=false",
    "first piece, softmax": " task/head=softmax task.format.pieces=first",
    "": "",
}


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    return "\n".join([INTRODUCTION, *(_parts(kind, columns) for kind, columns in KINDS.items()), _sizes(), _loading()])


INTRODUCTION = """\
# Families: the parts of published models

Written by `make families`, from the presets in `conf/model` and the tables in `framework/huggingface/families`. A column lists
the parts of a family, and each can be replaced: `model=gpt2 model/position=rotary`, `model=t5_base model/feed_forward=gated`. A row with
a dash is an option of the part above it; the last rows are options of the model. `python -m framework describe KIND/NAME` documents
a part and its options.
"""


def plain_node(preset: str) -> dict[str, Any]:
    """The explicit, normalized node of a preset."""
    known = index.load()
    return normalized(whole_node(preset, "model", known))


def family_of(name: str) -> Family:
    return registry.get(f"family/{name}")()


def _parts(kind: str, columns: Mapping[str, tuple[str, str]]) -> str:
    """The table of a kind: a row for each slot or option, a column for each family."""
    nodes = [plain_node(preset) for _, preset in columns.values()]
    rows = [["", *columns], ["---"] * (len(columns) + 1)]
    rows.append(["preset", *(f"`{preset}`" for _, preset in columns.values())])
    rows.append(["model_type", *(f"`{family_of(family).model_type}`" for family, _ in columns.values())])
    for slot, shown in SLOTS.items():
        rows += _slot(slot, shown, nodes)
    for name, cell in LINES.items():
        cells = [cell(node) for node in nodes]
        if any(cells):
            rows.append([name, *cells])
    papers = [_paper(family) for family, _ in columns.values()]
    rows.append(["paper", *(f"[{name}]" for name, _ in papers)])
    links = "\n".join(dict.fromkeys(f"[{name}]: {link}" for name, link in papers))
    return f"## {kind}\n\n{_table(rows)}\n\n{links}\n"


# Slot -> options shown even where all are defaults.
SLOTS: dict[str, tuple[str, ...]] = {
    "attention": (),
    "position": (),
    "feed_forward": ("hidden", "activation", "experts", "active"),
    "norm": (),
    "block": (),
    "embedding_norm": (),
    "encoder": (),
    "decoder": (),
}


def _slot(slot: str, shown: Sequence[str], models: Sequence[Node]) -> list[list[str]]:
    """Rows of a slot: its parts, and every option that is not the default in some model."""
    if not all(slot in model for model in models):
        return []
    parts = [model[slot] for model in models]
    rows = [[slot, *(f"`{part['part'].partition('/')[2]}`" for part in parts)]]
    options = [key for part, model in zip(parts, models, strict=True) for key in part if key in shown or _differs(part, model, key)]
    options += [key for part in parts for key in part.get("expert", {}) if key in shown]
    options = [*(key for key in shown if key in options), *(key for key in options if key not in shown)]
    for key in dict.fromkeys(options):
        cells = []
        for part, model in zip(parts, models, strict=True):
            own = part if key in part else part.get("expert", {})  # of a mixture, the options of its experts too
            cells.append(_value(effective({**model, "here": own}, f"here.{key}")) if key in own else "")
        rows.append([f"- {key}", *cells])
    return rows


def _differs(part: Node, model: Node, key: str) -> bool:
    """Whether an option of a part is not the default."""
    default = normalized(default_node(part["part"], index.load()), model)
    if key == "layers":
        return bool(part[key])
    if isinstance(part[key], Mapping) and key not in default:
        return False
    if isinstance(part[key], Mapping) or isinstance(default[key], Mapping):
        return not _is_stack(part) and _part_name(part[key]) != _part_name(default[key])
    return key != "part" and bool(part[key] != default[key])


def _is_stack(part: Node) -> bool:
    return str(part["part"]).startswith(("encoder/", "decoder/"))  # whose parts are those of the model


def _part_name(value: Any) -> str:
    """The name of a part; empty for another value."""
    return f"`{value['part'].partition('/')[2]}`" if isinstance(value, Mapping) and "part" in value else ""


def _entry(entry: Node) -> str:
    """An entry of a pattern of layers in a few words."""
    return "{}" if not entry else ", ".join(f"{key} {_part_name(value) or _value(value) or 'null'}" for key, value in entry.items())


def _value(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
        return "; ".join(map(_entry, value))
    if isinstance(value, Mapping):
        return _part_name(value) or "; ".join(f"{selector}: {_entry(entry)}" for selector, entry in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _option(name: str) -> Callable[[Node], str]:
    return lambda model: _value(model[name]) if name in model else ""


LINES: dict[str, Callable[[Node], str]] = {
    "embedding_dim": lambda model: _value(effective(model, "embedding_dim")),
    "embedding_scale": _option("embedding_scale"),
    "segments": _option("segments"),
    "pooler": _option("pooler"),
    "tied": _option("tied"),
    "output_cap": _option("output_cap"),
    "output_scale": _option("output_scale"),
    "output_bias": _option("output_bias"),
    "bias": _option("bias"),
    "epsilon": lambda model: f"{model['epsilon']:.0e}".replace("e-0", "e-"),
    "dropout": _option("dropout"),
    "max_length": _option("max_length"),
}


def _paper(family: str) -> tuple[str, str]:
    """Authors and year of a paper, and its link."""
    found = re.match(r"(.*?), (?:section \S+, )?(https://[^\s;,]+)", type(family_of(family)).__doc__ or "")
    assert found, family
    return found[1], found[2]


def _sizes() -> str:
    """The table of sizes of all published presets."""
    rows = [["preset", "dim", "heads", "layers", "feed_forward.hidden", "max_length", "vocabulary", "parameters"], ["---"] + ["---:"] * 7]
    for preset, vocab_size in VOCABULARIES.items():
        node = plain_node(preset)
        with torch.device("meta"):
            model = registry.build(node, spec=DataSpec(vocab_size, node["max_length"]))
        num_kv_heads = node["attention"].get("num_kv_heads")
        num_heads = f"{node['num_heads']}" + (f" ({num_kv_heads} key/value)" if num_kv_heads else "")
        layers = f"{node['num_layers']}" + (f" + {effective(node, 'num_decoder_layers')}" if "num_decoder_layers" in node else "")
        rows.append(
            [
                *(f"`{preset}`", f"{node['dim']:,}", num_heads, layers, _hidden(node)),
                *(f"{node['max_length']:,}", f"{vocab_size:,}", f"{sum(p.numel() for p in model.parameters()):,}"),
            ]
        )
    return f"{SIZES}\n{_table(rows)}\n"


def _hidden(node: Node) -> str:
    """Hidden features of the feed-forward networks; of a mixture with the number of its experts."""
    if "expert" not in node["feed_forward"]:
        return _value(effective(node, "feed_forward.hidden"))
    return f"{node['feed_forward']['experts']} x {_value(effective(node, 'feed_forward.expert.hidden'))}"


SIZES = """\
## Sizes

Parameters are counted with the published vocabularies; the vocabulary of a run is that of its tokenizer. Encoders are counted without
a head; BERT, RoBERTa and ALBERT with their pooler. A test compares each count with that of transformers.
"""


def _loading() -> str:
    """The section about loading a folder, with the table of published heads."""
    families = [family_of(name) for columns in KINDS.values() for name, _ in columns.values()]
    classes = {
        head.architecture: f"`{TASKS[hf_task]}{OVERRIDES[head.variant]}`"
        for family in families
        for hf_task, head in family.task_heads.items()
    }
    rows = [
        ["class", "overrides that use its head and give the same scores"],
        ["---"] * 2,
        *([f"`{name}`", overrides] for name, overrides in classes.items()),
    ]
    return f"{LOADING}\n{_table(rows)}\n"


LOADING = """\
## Load one

```
python train.py task=classification data=files data.train=train.csv model.pretrained=FOLDER
python train.py task=classification model=bert_base model.pretrained=FOLDER      # an error if the folder holds another size
```

FOLDER has `config.json` and `model.safetensors` (or its shards); `model.pretrained=FOLDER/pytorch_model.bin` reads the tensors
of a `torch.save` file, also of one that torch before 1.6 wrote. `model_type` selects the family; where config.json has none, its class or
the names of the tensors do, or the message has the line to add. Parts, sizes and tokenizer come from the folder, so no preset is needed;
any part can be replaced, and its weights are then newly initialized. The run prints the weights that are loaded, missing and unexpected;
a `config.json` with an unsupported value is an error that names its key. Without a folder the presets start from newly initialized
weights. More, and names on the Hub: [published.md](published.md).

The head of the published class is loaded as well, if the task is the same and the labels are equal:
"""


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        filled = []
        for cell, width in zip(row, widths, strict=True):
            rule = set(cell) <= {"-", ":"} and cell
            number = rows[1][len(filled)].endswith(":")
            filled.append(cell[0] + "-" * (width - 2) + cell[-1] if rule else cell.rjust(width) if number else cell.ljust(width))
        lines.append(f"| {' | '.join(filled)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
