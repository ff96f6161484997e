"""Every legal attention x position x block x family passes the contract tests; every illegal one is refused with a reason.

A sample of the matrix runs in the suite, `pytest -m whole tests/parts/test_matrix.py` runs all of it.
"""

import re
from itertools import product
from random import Random

import pytest
import torch

from framework.config import catalogue
from framework.registry import Part, broken, get
from framework.testing import check, loss, toy_model

FAMILIES = ("encoder_only", "decoder_only", "encoder_decoder")
MATRIX = list(product(FAMILIES, *(sorted(catalogue.load().options[kind]) for kind in ("attention", "position", "block"))))


def reasons(family: str, attention: str, position: str) -> list[str]:
    """Reasons why an attention refuses a position, or the self-attention of an encoder."""
    provided = {*get(f"position/{position}").provides, *(() if family == "decoder_only" else ("bidirectional",))}
    refused = broken(getattr(get(f"position/{position}"), "rules", {}), {"provided": set(get(f"attention/{attention}").provides)})
    return [*broken(get(f"attention/{attention}").rules, {"provided": provided}), *refused]


LEGAL = [case for case in MATRIX if not reasons(*case[:3])]
SAMPLE = Random(0).sample(LEGAL, 24)


def composed(family: str, attention: str, position: str, block: str) -> torch.nn.Module:
    return toy_model(
        family,
        attention=Part(f"attention/{attention}"),
        position=Part(f"position/{position}"),
        block=Part(f"block/{block}"),
    )


def trains_and_keeps_promises(case: tuple[str, str, str, str]) -> None:
    model = composed(*case)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        losses.append(loss(model))
        losses[-1].backward()
        optimizer.step()
    assert all(value.isfinite() for value in losses) and loss(model) < losses[0]
    check(model)


@pytest.mark.parametrize("case", SAMPLE, ids="-".join)
def test_a_sample_of_the_legal_matrix(case):
    trains_and_keeps_promises(case)


@pytest.mark.whole
@pytest.mark.parametrize("case", LEGAL, ids="-".join)
def test_the_whole_legal_matrix(case):
    trains_and_keeps_promises(case)


def test_what_is_refused_and_why(capsys):
    refused = {case[:3]: " ".join(reasons(*case[:3])) for case in MATRIX if reasons(*case[:3])}
    with capsys.disabled():
        print(f"\nlegal: {len(LEGAL)} of {len(MATRIX)} combinations ({len(LEGAL) / len(MATRIX):.0%})")
    wanted = {("linear", position): "no scores to add a position bias" for position in ("alibi", "fire", "kerple", "relative")}
    wanted |= {(attention, "shaw"): "vectors of distances" for attention in ("linear", "latent")}
    wanted |= {(attention, "disentangled"): "projects vectors" for attention in ("linear", "latent", "differential")}
    recurrent = ("gated_delta", "retention")
    assert {case[1:]: reason for case, reason in refused.items() if case[1] not in recurrent}.keys() == wanted.keys()
    for (family, attention, position), reason in refused.items():
        if attention not in recurrent:
            assert wanted[attention, position] in reason
        else:
            assert ("left to right" in reason) == (family != "decoder_only")
            assert ("no scores" in reason, "no one position" in reason) == (
                position in ("alibi", "fire", "kerple", "relative"),
                position == "rotary" and attention == "gated_delta",
            )


@pytest.mark.parametrize("attention", ["linear", "gated_delta", "retention"])
def test_a_window_is_refused_by_attentions_without_scores(attention):
    assert broken(get(f"attention/{attention}").rules, {"provided": {"window"}})
    assert not broken(get(f"attention/{attention}").rules, {"provided": {"table"}})


@pytest.mark.matrix(0.4)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "values",
    [
        {"norm": Part("norm/rms"), "feed_forward": Part("feed_forward/gated", limit=0.5, shift=1.0), "bias": False},
        {"norm": Part("norm/none"), "feed_forward": Part("feed_forward/mlp", hidden=24, activation="squared_relu")},
        {"attention": Part("attention/multi_head", num_kv_heads=2, head_dim=6, scale=1.0, qk_norm=Part("norm/rms"))},
        {"attention": Part("attention/multi_head", num_kv_heads=1), "position": Part("position/rotary", fraction=0.5, interleaved=True)},
        {"attention": Part("attention/linear", head_dim=6, chunk=3), "position": Part("position/rotary")},
        {"embedding_dim": 10, "embedding_norm": Part("norm/layer"), "embedding_scale": True},
        {"position": Part("position/learned", offset=2), "embedding_dim": 10},
        {"position": Part("position/rotary", scaling="llama3", base=50.0, trained_length=16), "bias": False},
        {"position": Part("position/rotary", scaling="yarn", base=50.0, trained_length=16, temperature=1.2, truncate=False), "bias": False},
        {"block": Part("block/pre_norm", first_norm=False), "embedding_norm": Part("norm/layer")},
    ],
    ids=lambda values: "-".join(values),
)
def test_options_of_the_parts_keep_the_promises(family, values):
    check(toy_model(family, **values))


@pytest.mark.parametrize("family", ["decoder_only", "encoder_decoder"])
def test_untied_biased_scaled_outputs_keep_the_promises(family):
    check(toy_model(family, tied=False, output_bias=True, output_scale=0.25))
    check(toy_model(family, tied=True, output_bias=True, embedding_dim=10))


def test_attentions_that_differ_by_stack_and_slot_keep_the_promises():
    check(
        toy_model(
            "encoder_decoder",
            num_decoder_layers=1,
            encoder=Part("encoder/standard", attention=Part("attention/linear"), position=Part("position/rotary")),
            decoder=Part("decoder/cross", position=Part("position/alibi"), cross=Part("attention/linear"), final_norm=Part("norm/rms")),
        )
    )


@pytest.mark.matrix(0.4)
@pytest.mark.parametrize(
    "family, stack", [("encoder_only", "encoder/standard"), ("decoder_only", "decoder/standard"), ("encoder_decoder", "decoder/cross")]
)
@pytest.mark.parametrize("values", [{"window": 3}, {"window": 3, "layers": [{"window": None}, {}]}], ids=str)
@pytest.mark.parametrize("position", [Part("position/rotary", local_base=5.0), Part("position/alibi")], ids=["rotary", "alibi"])
def test_windows_keep_the_promises(family, stack, values, position):
    slot = stack.partition("/")[0]
    check(toy_model(family, position=position, **{slot: Part(stack, **values)}))


@pytest.mark.parametrize(
    ("family", "stacks"),
    [
        ("encoder_only", {"encoder": "shared"}),
        ("decoder_only", {"decoder": "shared"}),
        ("encoder_decoder", {"encoder": "shared", "decoder": "shared_cross"}),
    ],
)
@pytest.mark.parametrize("values", [{}, {"layers": [{}, {"window": 2}, {"window": 3}]}, {"activation_checkpointing": True}], ids=str)
def test_one_layer_for_all_depths_keeps_the_promises(family, stacks, values):
    shared = {slot: Part(f"{slot}/{name}", **values) for slot, name in stacks.items()}
    check(toy_model(family, num_layers=3, position=Part("position/rotary"), **shared))


def test_one_layer_for_all_depths_is_a_layer_applied_again():
    shared, apart = (toy_model("decoder_only", num_layers=3, decoder=Part(f"decoder/{name}")) for name in ("shared", "standard"))
    assert set(shared.state_dict()) == {name for name in apart.state_dict() if "layers.1." not in name and "layers.2." not in name}
    own = shared.state_dict()
    apart.load_state_dict({name: own[re.sub(r"layers\.\d\.", "layers.0.", name)] for name in apart.state_dict()})
    ids = torch.randint(23, (2, 7), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(shared(ids), apart(ids), rtol=0, atol=1e-9)
