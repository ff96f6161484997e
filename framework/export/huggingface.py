"""A run as the Hub's libraries read it: the layout of the published family that computes as its model does."""

from pathlib import Path

from framework.huggingface.writing import write as write_published
from framework.huggingface.writing import write_tokenizer
from framework.runs.predictor import Predictor
from framework.tasks.capabilities import Exportable

LIBRARY = "transformers"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes config.json, model.safetensors, the tokenizer and, for a task that writes, generation_config.json. Gives the lines that
    load them. UserError: no published family computes as this task does; the nearest, and what differs."""
    task, spec = loaded.task, loaded.spec
    hf_task, variant, entries = (task.hf_task, task.head_variant, task.hf_config()) if isinstance(task, Exportable) else (None, "", {})
    decoding = loaded.config["task"].get("decoding")
    layout = write_published(folder, loaded.config["model"], task.state_dict(), spec, hf_task, variant, entries, decoding)
    write_tokenizer(loaded.tokenizer, spec, hf_task, folder)
    model = _CLASSES.get(hf_task or "", "AutoModel")
    return [
        f"from transformers import AutoTokenizer, {model}",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        f'model = {model}.from_pretrained("FOLDER")  # the layout of {layout.family.type}',
    ]


_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "fill-mask": "AutoModelForMaskedLM",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
}
