"""Tokenizer files of a published model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.huggingface.writing import write_json

if TYPE_CHECKING:
    from framework.data.spec import DataSpec
    from framework.data.tokenization.tokenizer import Tokenizer

_TEMPLATES = {  # hf_task -> templates of one text and of a pair
    "text-classification": ("{begin} $A {end}", "{begin} $A {end} $B:1 {end}:1"),
    "token-classification": ("{begin} $A {end}", None),
    "fill-mask": ("{begin} $A {end}", None),
    "text2text-generation": ("$A {end}", None),
}


def write_tokenizer(tokenizer: "Tokenizer", spec: "DataSpec", hf_task: str | None, folder: Path) -> None:
    """Writes tokenizer.json, whose post-processor adds the special tokens of the task, and tokenizer_config.json, which names them."""
    import tokenizers
    from tokenizers.processors import TemplateProcessing

    inner = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    ids = {"begin": spec.begin, "end": spec.end}
    names = {name: inner.id_to_token(id) for name, id in ids.items() if id is not None}
    templates = _TEMPLATES.get(hf_task or "", ("$A", None))
    if hf_task == "text2text-generation" and spec.prefix:
        templates = "{begin} " + templates[0], None
    one, two = (
        " ".join(word.format(**names) for word in (text or "").split() if not word.startswith("{") or word[1:].split("}")[0] in names)
        for text in templates
    )
    used = list({str(token): ids[name] for name, token in names.items() if str(token) in f"{one} {two}"}.items())
    inner.post_processor = TemplateProcessing(single=one, pair=two or None, special_tokens=used)
    inner.encode_special_tokens = False
    inner.save(str(folder / "tokenizer.json"))
    special = {"pad_token": spec.padding, "bos_token": spec.begin, "eos_token": spec.end, "unk_token": spec.unknown}
    special |= {"cls_token": spec.begin, "sep_token": spec.end, "mask_token": spec.mask}
    config: dict[str, Any] = {name: inner.id_to_token(id) for name, id in special.items() if id is not None}
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": spec.max_length, "clean_up_tokenization_spaces": False}
    write_json(folder / "tokenizer_config.json", config | {"padding_side": "left" if hf_task == "text-generation" else "right"})
