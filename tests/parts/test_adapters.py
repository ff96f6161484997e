"""LoRA against its formula, W + alpha / rank * B A: target modules, frozen parameters, merging."""

import copy

import pytest
import torch
from torch import nn

from framework.config import catalogue
from framework.errors import UserError
from framework.parts.adapters import LoraAdapter, LoraLinear, NoAdapter
from framework.parts.dropout import dropout
from framework.registry import Part, broken, build, get
from framework.testing.toy_models import forward, loss, texts, toy_model

FAMILIES = ["encoder_only", "decoder_only", "encoder_decoder"]


def outputs(model):
    return forward(model.eval(), torch.stack(texts(7, 7)), torch.stack(texts(6, 6)))


def lively(model):
    """The model with random values in both LoRA matrices, as after training."""
    for module in model.modules():
        if isinstance(module, LoraLinear):
            nn.init.normal_(module.lora_up, std=0.3)
    return model


def adapted(family, options=None, **values):
    model = toy_model(family, **(options or {}))
    LoraAdapter(**{"rank": 3, "alpha": 5.0, **values}).attach(model)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_at_first_nothing_changes_at_all(family):
    assert torch.equal(outputs(adapted(family, target_modules="*")), outputs(toy_model(family)))


def test_a_linear_map_is_the_formula():
    torch.manual_seed(0)
    linear, x = nn.Linear(5, 7).double(), torch.randn(4, 5, dtype=torch.float64)
    before = linear(x)
    lora = LoraLinear(linear, rank=3, alpha=6.0, dropout=0.0)
    assert torch.equal(lora(x), before)
    nn.init.normal_(lora.lora_up)
    weight = linear.weight + 6.0 / 3 * lora.lora_up @ lora.lora_down
    torch.testing.assert_close(lora(x), x @ weight.T + linear.bias)


def test_without_a_bias():
    lora = LoraLinear(nn.Linear(5, 7, bias=False), rank=2, alpha=2.0, dropout=0.0)
    assert set(lora.state_dict()) == {"weight", "lora_down", "lora_up"}
    x = torch.ones(1, 5)
    assert torch.equal(lora(x), x @ lora.weight.T)


def test_dropout_is_on_what_enters_the_product_alone():
    linear, x = nn.Linear(5, 7), torch.ones(1, 5)
    lora = LoraLinear(linear, rank=2, alpha=2.0, dropout=0.5)
    nn.init.normal_(lora.lora_up)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    whole = lora.eval()(x)
    assert torch.equal(lora(x), whole)
    torch.manual_seed(1)
    dropped = lora.train()(x)
    torch.manual_seed(1)
    torch.testing.assert_close(dropped, dropout(x, 0.5) @ lora.lora_down.T @ lora.lora_up.T)
    assert not torch.equal(dropped, whole)


@pytest.mark.parametrize("family", FAMILIES)
def test_names_stay_and_new_ones_are_lora(family):
    plain, model = toy_model(family).state_dict(), adapted(family).state_dict()
    assert all(torch.equal(model[name], value) for name, value in plain.items())
    new = model.keys() - plain.keys()
    assert new and all(name.rpartition(".")[2] in ("lora_down", "lora_up") for name in new)
    assert {name.split(".")[-2] for name in new} == {"query", "value"}


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_is_the_same_model_without_an_adapter(family):
    model = lively(adapted(family, target_modules="*"))
    expected = outputs(model)
    assert (expected - outputs(toy_model(family))).abs().max() > 1e-3
    plain = toy_model(family, seed=5)
    plain.load_state_dict(LoraAdapter(rank=3, alpha=5.0, target_modules="*").merged(model.state_dict()))
    torch.testing.assert_close(outputs(plain), expected, atol=1e-9, rtol=0)


def test_weights_may_be_copied_in_afterwards():
    """Pretrained weights are copied into a model that has its adapter already."""
    model, other = lively(adapted("encoder_only")), toy_model("encoder_only", seed=9)
    own = model.state_dict()
    for name, value in other.state_dict().items():
        own[name].copy_(value)
    expected = LoraAdapter(rank=3, alpha=5.0).merged(own)
    other.load_state_dict(expected)
    torch.testing.assert_close(outputs(model), outputs(other), atol=1e-9, rtol=0)


@pytest.mark.parametrize("attention", sorted(catalogue.load().options["attention"]))
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_adapter_and_nothing_else(family, attention):
    if family != "decoder_only" and broken(get(f"attention/{attention}").rules, {"provided": {"bidirectional"}}):
        pytest.skip("attends from left to right alone")
    model = lively(adapted(family, {"attention": Part(f"attention/{attention}")}, target_modules="*")).train()
    loss(model).backward()
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            assert parameter.grad is not None and parameter.grad.any(), name
        else:
            assert parameter.grad is None and not parameter.requires_grad, name


def test_at_first_only_one_matrix_can_learn():
    model = adapted("decoder_only").train()
    loss(model).backward()
    grads = {name: bool(parameter.grad.any()) for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(learns == name.endswith("lora_up") for name, learns in grads.items())


def test_modules_to_save_are_trained():
    model = adapted("encoder_only", modules_to_save=["*.norms.*", "tokens.weight"])
    learned = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learned == {name for name, _ in model.named_parameters() if ".lora_" in name or ".norms." in name or name == "tokens.weight"}


@pytest.mark.parametrize("target", ["encoder.layers.[01].feed_forward.*", ["encoder.layers.0.*.input", "*.1.*.input", "*.output"]])
def test_targets_are_shell_patterns(target):
    chosen = {name for name, module in adapted("encoder_only", target_modules=target).named_modules() if isinstance(module, LoraLinear)}
    both = {f"encoder.layers.{layer}.feed_forward.{name}" for layer in (0, 1) for name in ("input", "output")}
    assert chosen == both if isinstance(target, str) else chosen == both | {f"encoder.layers.{layer}.attention.output" for layer in (0, 1)}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"target_modules": "*.qurey"},
            r"model.adapter.target_modules: '\*.qurey' matches no linear map of the model \(did you mean '\*.query'\?\);",
        ),
        (
            {"target_modules": ["*.query", "nothing"]},
            r"'nothing' matches no linear .*; there are: encoder.layers.\*.attention.query, enc",
        ),
        ({"target_modules": "*.norms.*"}, "matches no linear map"),
        (
            {"modules_to_save": "tokens.wieght"},
            r"model.adapter.modules_to_save: 'tokens.wieght' .* \(did you mean 'tokens.weight'\?\); there are: tokens",
        ),
    ],
)
def test_a_pattern_that_matches_nothing_names_what_there_is(values, said):
    with pytest.raises(UserError, match=said):
        adapted("encoder_only", **values)


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"rank": 0}, "rank must be positive"), ({"alpha": 0.0}, "alpha must be positive"), ({"dropout": 1.0}, "dropout must be in")],
)
def test_numbers_that_make_no_adapter(values, reason):
    with pytest.raises(UserError, match=reason):
        build({"part": "adapter/lora", **values})


def test_no_adapter_is_the_model_itself():
    model = toy_model("encoder_only")
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    NoAdapter().attach(model)
    assert all(before.values()) and before == {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    state = model.state_dict()
    assert NoAdapter().merged(state).keys() == state.keys()


def test_only_plain_linear_maps_are_replaced():
    """A subclass of nn.Linear may use its weight in another way."""

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    model = nn.ModuleDict({"plain": nn.Linear(2, 2), "doubled": Doubled(2, 2)})
    LoraAdapter(rank=1, target_modules="*").attach(model)
    assert (type(model["plain"]), type(model["doubled"])) == (LoraLinear, Doubled)


def test_an_adapter_takes_no_draw_from_what_is_built_before():
    torch.manual_seed(0)
    plain = toy_model("encoder_only")
    model = adapted("encoder_only")
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in plain.state_dict().items())


def test_rates_follow_layers_into_adapters_and_copies_work():
    from framework.training.groups import lr_multipliers

    task = nn.Module()
    task.model = adapted("encoder_only")
    factors = lr_multipliers(task, 0.5, 1.0)
    assert factors["model.encoder.layers.0.attention.query.lora_down"] == 0.5
    assert factors["model.encoder.layers.1.attention.query.lora_up"] == 1.0
    assert torch.equal(outputs(copy.deepcopy(task.model)), outputs(task.model))
