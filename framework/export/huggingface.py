"""A run as the Hub's libraries read it: the layout of the published family that computes as its model does."""

from pathlib import Path

from framework.huggingface.writing import write as write_published
from framework.huggingface.writing import write_tokenizer
from framework.runs.predictor import Predictor

LIBRARY = "transformers"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes config.json, model.safetensors, the tokenizer and, for a task that writes, generation_config.json. Gives the lines that
    load them. UserError: no published family computes as this task does; the nearest, and what differs."""
    task, spec = loaded.task, loaded.spec
    layout = write_published(
        folder,
        loaded.config["model"],
        task.state_dict(),
        spec,
        task.purpose,
        task.form,
        task.published(),
        loaded.config["task"].get("decoding"),
    )
    write_tokenizer(loaded.tokenizer, spec, task.purpose, folder)
    model = _CLASSES.get(task.purpose or "", "AutoModel")
    return [
        f"from transformers import AutoTokenizer, {model}",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        f'model = {model}.from_pretrained("FOLDER")  # the layout of {layout.family.type}',
    ]


_CLASSES = {
    "sequence_labels": "AutoModelForSequenceClassification",
    "token_labels": "AutoModelForTokenClassification",
    "masked_tokens": "AutoModelForMaskedLM",
    "next_token": "AutoModelForCausalLM",
    "text_to_text": "AutoModelForSeq2SeqLM",
}
