"""Every registered option is held to the contract of its kind (parts of models, tasks and sources: test_registered.py)."""

from pathlib import Path
from typing import Any

import pytest

from framework.config import catalogue
from framework.data.tokenization.trainers import BytesTokenizer
from framework.registry import Part
from framework.testing import (
    AdapterPromises,
    BatchesPromises,
    CallbackPromises,
    DecodingPromises,
    DistillationPromises,
    FamilyPromises,
    FormatPromises,
    OptimizerPromises,
    SchedulePromises,
    TokenizerPromises,
    TrackerPromises,
    TrainerPromises,
)
from tests.conformance.rejects import assert_accepted
from tests.conformance.test_wrong_runs import CsvPromises
from tests.huggingface.toy_models import TOYS

SUITES: dict[str, type] = {
    "adapter": AdapterPromises,
    "batches": BatchesPromises,
    "callback": CallbackPromises,
    "decoding": DecodingPromises,
    "distillation": DistillationPromises,
    "family": FamilyPromises,
    "format": FormatPromises,
    "optimizer": OptimizerPromises,
    "schedule": SchedulePromises,
    "tokenizer": TokenizerPromises,
    "tracker": TrackerPromises,
    "trainer": TrainerPromises,
}
VALUES: dict[str, dict[str, Any]] = {  # of options that are off, or slow, by default
    "callback/average": {"decay": 0.9},
    "callback/average_last": {"last": 2},
    "callback/early_stopping": {"patience": 1},
    "callback/one_batch": {"enough": 0.999},
    "callback/profile": {"skip": 1, "steps": 2},
    "tracker/wandb": {"mode": "disabled"},
}
OPTIONS = [
    f"{kind}/{name}"
    for kind in SUITES
    for name, known in catalogue.load().options[kind].items()
    if known["distribution"] != "this program"  # a class of another test
]
OTHERS: list[tuple[Part, dict[str, Any]]] = [
    (Part("adapter/lora", target_modules="*", modules_to_save="*norm*"), {}),
    (Part("callback/average_last", last=2, every=2), {}),
    (Part("callback/checkpoint", every_n_train_steps=2), {}),
    (Part("decoding/beam", num_beams=1), {"greedy": True}),
    (Part("decoding/beam", num_beams=3, num_return_sequences=2, early_stopping="exact", length_penalty=0.0), {}),
    (Part("decoding/sampling", top_k=4, top_p=0.8, temperature=1.5), {}),
    (Part("distillation/standard", hidden=0.0, soft=1.0), {}),
    (Part("distillation/standard", hidden=1.0, soft=0.0, temperature=1.0), {}),
    (Part("tokenizer/bpe", prefix_space=True, lowercase=True), {"restores": False}),
    (Part("tokenizer/characters", unseen="unknown"), {"restores": False}),
]


def attributes(option: str) -> dict[str, Any]:
    """The arguments of the suite of an option."""
    kind, _, name = option.partition("/")
    if kind == "family":
        return {"config": TOYS[name].values}
    if kind == "decoding":
        return {"greedy": name == "greedy"}
    if option == "format/classification":  # its first built-in rows have one label
        return {"rows": [{"text": f"text {number}", "label": "even" if number % 2 else "odd"} for number in range(6)]}
    return {"restores": name not in ("wordpiece", "words")} if kind == "tokenizer" else {}


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "tokenizer/pretrained"])
def test_an_option_keeps_the_promises_of_its_kind(option):
    kind = option.partition("/")[0]
    assert_accepted(CsvPromises if option == "tracker/csv" else SUITES[kind], Part(option, **VALUES.get(option, {})), **attributes(option))


@pytest.mark.parametrize(("part", "attributes"), OTHERS, ids=lambda value: repr(value) if isinstance(value, Part) else "")
def test_other_values_keep_them_too(part, attributes):
    assert_accepted(SUITES[part.target.partition("/")[0]], part, **attributes)


def test_a_pretrained_tokenizer_keeps_them(tmp_path: Path):
    BytesTokenizer().train(list).save(tmp_path / "tokenizer.json")
    assert_accepted(TokenizerPromises, Part("tokenizer/pretrained", file=str(tmp_path)))
