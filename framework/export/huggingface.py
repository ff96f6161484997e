"""Export in the layout of a published family, for transformers."""

from pathlib import Path

from framework.huggingface import writing
from framework.runs.predictor import Predictor
from framework.tasks.capabilities import Calibrated, Exportable

LIBRARY = "transformers"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes config.json, model.safetensors, tokenizer and, if the task generates text, generation_config.json; returns the lines of
    Python that load them. UserError: no published family computes the same."""
    task, spec = loaded.task, loaded.spec
    if isinstance(task, Exportable):
        task.check_exportable()
    hf_task, variant, entries = (task.hf_task, task.head_variant, task.hf_config()) if isinstance(task, Exportable) else (None, "", {})
    if isinstance(task, Calibrated) and task.temperature != 1:
        variant += ", temperature"  # which no published head has
    decoding = loaded.config["task"].get("decoding")
    family = writing.write(folder, loaded.config["model"], task.state_dict(), spec, hf_task, variant, entries, decoding)
    writing.write_tokenizer(loaded.tokenizer, spec, hf_task, folder)
    model = _CLASSES.get(hf_task or "", "AutoModel")
    return [
        f"from transformers import AutoTokenizer, {model}",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        f'model = {model}.from_pretrained("FOLDER")  # the layout of {family.model_type}',
    ]


_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "fill-mask": "AutoModelForMaskedLM",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
}
