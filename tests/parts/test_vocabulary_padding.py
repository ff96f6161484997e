"""`model.pad_vocab_to_multiple_of`: the output layer's product in training has rows of zeros, and nothing else can be told apart."""

import pytest
import torch
from torch.nn import functional

from framework.data.spec import DataSpec
from framework.parts.embeddings import LMHead, Tokens
from framework.registry import Part
from framework.testing.toy_task import ToyTask
from tests.precision import close

TEXTS = [{"text": "the good film was good"}, {"text": "a dull film"}]
VOCABULARY, DIM = 70, 8


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("multiple", [1, 7, 64, 70, 128])
def test_logits_and_gradients_are_those_without_padding(tied, bias, multiple):
    torch.manual_seed(0)
    tokens = Tokens(VOCABULARY, DIM, multiple=multiple).double()
    head = LMHead(VOCABULARY, DIM, DIM, tied, bias, 1.0, None, 0.0).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    hidden, targets = torch.randn(2, 5, DIM, dtype=torch.float64, requires_grad=True), torch.randint(VOCABULARY, (10,))
    learned = [hidden, tokens.weight if tied else head.weight, *([head.bias] if bias else [])]

    def gradients(logits):
        loss = functional.cross_entropy(logits.flatten(0, 1), targets)
        return [loss, *torch.autograd.grad(loss, learned)]

    logits = head(hidden, tokens)
    assert logits.shape == (2, 5, VOCABULARY)
    wanted = functional.linear(hidden, learned[1], head.bias)
    for one, other in zip(gradients(logits), gradients(wanted), strict=True):
        close(one, other)


@pytest.mark.parametrize("training", [True, False])
def test_only_the_product_of_training_is_padded(training, monkeypatch):
    rows = []
    product = functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, weight, bias=None: rows.append(len(weight)) or product(x, weight, bias))
    Tokens(VOCABULARY, DIM, multiple=64).train(training).logits(torch.zeros(3, DIM))
    assert rows == [128 if training else VOCABULARY]


@pytest.mark.parametrize(
    ("task", "family", "format"),
    [
        ("completion", "decoder_only", {}),
        ("pretraining", "encoder_only", {"format": Part("format/masked")}),
        ("translation", "encoder_decoder", {}),
    ],
)
def test_a_task_has_the_same_weights_and_losses(task, family, format):
    """So checkpoints, exports and numbers of parameters are the same too."""
    rows = [{"source": row["text"], "target": row["text"]} for row in TEXTS] if task == "translation" else TEXTS
    results, states = [], []
    for multiple in (None, 64):
        options = {"dim": 16, "num_heads": 2, "num_layers": 1, "dropout": 0.0, "max_length": 32, "initial_std": 0.3}
        toy = ToyTask(Part(f"task/{task}", **format), rows, Part(f"model/{family}", **options, pad_vocab_to_multiple_of=multiple))
        torch.manual_seed(0)
        made = toy.task().double().train()
        assert made.model.spec.vocab_size % 64
        result = made(toy.batch())
        (result.loss / result.weight).backward()
        results.append([result.loss, *(p.grad for p in made.parameters() if p.grad is not None)])
        states.append(made.state_dict())
    for one, other in zip(*results, strict=True):
        close(one, other)
    assert {name: value.shape for name, value in states[0].items()} == {name: value.shape for name, value in states[1].items()}


def test_the_spec_of_a_model_stays():
    model = Part("model/decoder_only", dim=16, num_heads=2, num_layers=1, pad_vocab_to_multiple_of=64)(spec=DataSpec(70, 512))
    assert model.tokens.weight.shape == (70, 16) and model.eval().logits(torch.zeros(1, 1, 16)).shape == (1, 1, 70)
