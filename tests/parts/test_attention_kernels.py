"""Every kernel of attention against the formula in float64: forward pass and gradients, masks, grouped heads, chunks, documents."""

import math
from dataclasses import replace

import pytest
import torch

from framework.parts.attention import kernels
from framework.parts.attention.kernels import attend, by_document, choose, fused, products
from framework.parts.attention.weights import AttentionWeights
from framework.parts.masks import Mask
from framework.testing.dropout import WithoutDropout
from tests.precision import close, rounds_like

B, T, H, K, D = 2, 7, 4, 2, 6
PADDING = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1]]).bool()
DOCUMENTS = torch.tensor([[0, 0, 0, 1, 1, 2, 3], [5, 5, 5, 5, 5, 5, -1]])
PAIR = (DOCUMENTS, DOCUMENTS)
BIAS = torch.randn(1, H, T, T, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
MASKS = {
    "none": Mask(T, T),
    "causal": Mask(T, T, causal=True),
    "padding": Mask(T, T, padding_mask=PADDING),
    "causal padding": Mask(T, T, causal=True, padding_mask=PADDING),
    "window": Mask(T, T, causal=True, window=3),
    "bias": Mask(T, T, causal=True, padding_mask=PADDING, bias=BIAS),
    "bias alone": Mask(T, T, bias=BIAS),
    "documents": Mask(T, T, causal=True, documents=PAIR),
    "documents, both directions": Mask(T, T, documents=PAIR),
    "documents, window": Mask(T, T, causal=True, documents=PAIR, window=2),
    "last queries": Mask(3, T, causal=True),
    "one query": Mask(1, T, causal=True),
    "a row of padding": Mask(T, T, padding_mask=torch.tensor([[True] * T, [False] * T])),
}
CASES = [(kernel, name) for kernel in (fused, products, by_document) for name in MASKS if kernel is not by_document or "doc" in name]


def inputs(queries, kv_heads=H, dtype=torch.float64):
    random = torch.Generator().manual_seed(1)
    shapes = (B, queries, H, D), (B, T, kv_heads, D), (B, T, kv_heads, D)
    return [torch.randn(shape, generator=random, dtype=torch.float64).to(dtype).transpose(1, 2).requires_grad_() for shape in shapes]


def formula(query, key, value, mask, scale=None, logit_cap=None, sinks=None):
    """One query, head and row at a time."""
    allowed = mask.dense()
    allowed = torch.ones(1, 1, 1, 1, dtype=torch.bool) if allowed is None else allowed
    allowed = allowed.expand(B, 1, mask.queries, mask.keys)
    rows = []
    for row in range(B):
        for head in range(H):
            shared = head // (H // key.shape[1])
            for number in range(mask.queries):
                scores = key[row, shared] @ query[row, head, number] * (D**-0.5 if scale is None else scale)
                if logit_cap is not None:
                    scores = logit_cap * torch.tanh(scores / logit_cap)
                if mask.bias is not None:
                    scores = scores + mask.bias[0, head, number]
                weights = scores.exp() * allowed[row, 0, number]
                total = weights.sum() if sinks is None else weights.sum() + sinks[head].exp()
                rows.append(weights @ value[row, shared] / total.clamp(min=1e-300))
    return torch.stack(rows).view(B, H, mask.queries, D)


def with_gradients(call, arguments):
    attended = call(*arguments)
    direction = torch.linspace(-1, 1, attended.numel(), dtype=torch.float64).view(attended.shape).to(attended.dtype)
    return [attended, *torch.autograd.grad(attended, arguments, direction)]


@pytest.mark.parametrize("kv_heads", [H, K, 1])
@pytest.mark.parametrize(("kernel", "name"), CASES)
def test_a_kernel_is_the_formula(kernel, name, kv_heads, monkeypatch):
    monkeypatch.setattr(kernels, "CHUNK", 3)  # so that seven queries are three chunks
    mask, scale = MASKS[name], None if kv_heads == H else 0.7
    arguments = inputs(mask.queries, kv_heads)
    wanted = with_gradients(lambda *given: formula(*given, mask, scale), arguments)
    for got, want in zip(with_gradients(lambda *given: kernel(*given, mask, scale=scale), arguments), wanted, strict=True):
        close(got, want)


@pytest.mark.parametrize("width", [4, 9])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ["causal", "padding", "a row of padding"])
def test_values_may_have_another_width_than_keys(name, padded, width, monkeypatch):
    monkeypatch.setattr(kernels, "PADDED_FROM", 0 if padded else 10**9)
    query, key, value = inputs(T)
    value = torch.cat((value, value), dim=-1)[..., :width].detach().requires_grad_()
    arguments = [query, key, value]

    def plain(query, key, value):
        allowed = MASKS[name].dense().expand(B, 1, T, T)
        scores = (query @ key.mT / math.sqrt(D)).masked_fill(~allowed, -math.inf)
        return scores.softmax(-1).masked_fill(~allowed.any(-1, keepdim=True), 0.0) @ value

    for got, want in zip(*(with_gradients(call, arguments) for call in (lambda *given: fused(*given, MASKS[name]), plain)), strict=True):
        close(*(x.nan_to_num() for x in (got, want)))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("given", ["cap", "sinks", "both"])
def test_a_cap_and_sinks_are_in_the_formula(name, given, monkeypatch):
    monkeypatch.setattr(kernels, "CHUNK", 3)
    monkeypatch.setattr(kernels, "CALL", 0)  # so that seven tokens are worth a call a document
    mask, cap = MASKS[name], None if given == "sinks" else 0.6
    sinks = None if given == "cap" else torch.linspace(-2, 3, H, dtype=torch.float64).requires_grad_()
    arguments = [*inputs(mask.queries, K), *([] if sinks is None else [sinks])]

    def call(function):
        return with_gradients(lambda q, k, v, sinks=None: function(q, k, v, mask, scale=0.7, logit_cap=cap, sinks=sinks), arguments)

    for got, want in zip(call(attend), call(formula), strict=True):
        close(got, want)


def test_weights_with_a_cap_and_sinks_are_recorded():
    arguments = inputs(T)
    with AttentionWeights() as recorded:
        attended = attend(*arguments, MASKS["causal"], logit_cap=0.6, sinks=torch.ones(H, dtype=torch.float64))
    close(recorded.weights[0] @ arguments[2], attended)
    assert (recorded.weights[0].sum(-1) < 0.9).all()  # the rest is the sinks'


@pytest.mark.parametrize("kernel", [fused, products])
def test_a_learned_bias_has_a_gradient(kernel):
    bias, arguments = BIAS.clone().requires_grad_(), inputs(T)
    mask = Mask(T, T, padding_mask=PADDING, bias=bias)
    (got,) = torch.autograd.grad(kernel(*arguments, mask).square().sum(), bias)
    (wanted,) = torch.autograd.grad(formula(*arguments, mask).square().sum(), bias)
    close(got, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["causal", "padding", "documents"])
def test_products_round_as_attention_without_a_kernel(dtype, name):
    """The reference computes the same products, softmax and sums in the dtype, one after the other, as torch's documentation has them."""
    mask = MASKS[name]

    def plain(query, key, value):
        allowed = mask.dense()
        scores = (query @ key.mT / math.sqrt(D)).masked_fill(~allowed, -math.inf)
        return scores.softmax(-1) @ value

    low = inputs(T, dtype=dtype)
    exact = [each.detach().double().requires_grad_() for each in low]
    rounds_like(
        with_gradients(lambda *given: products(*given, mask), low),
        with_gradients(plain, low),
        with_gradients(lambda *given: formula(*given, mask), exact),
    )


@pytest.mark.parametrize("kernel", [fused, products, by_document])
def test_dropout_keeps_the_mean_and_a_share_of_the_weights(kernel):
    """With the identity as values the output are the weights, each 0 or divided by the share of those kept."""
    torch.manual_seed(0)
    documents = torch.zeros(B, 64, dtype=torch.long)
    documents[:, 32:] = 1
    mask = Mask(64, 64, documents=(documents, documents))
    query, identity = torch.zeros(B, H, 64, 64), torch.eye(64).expand(B, H, 64, 64)
    weights = kernel(query, query, identity, mask, dropout=0.25)
    inside = mask.dense().expand_as(weights)
    assert not weights[~inside].any()
    dropped = weights[inside] == 0
    torch.testing.assert_close(weights[inside][~dropped], torch.full((1,), 1 / 32 / 0.75).expand(int((~dropped).sum())))
    assert abs(float(dropped.float().mean()) - 0.25) < 0.03  # of 16,384: the standard deviation is 0.0034


def test_a_document_in_two_pieces_and_one_beside_padding_have_no_lengths():
    assert MASKS["documents"].document_lengths == [3, 2, 1, 1, 6, 1]
    pieces = torch.tensor([[0, 1, 0]])
    assert Mask(3, 3, documents=(pieces, pieces)).document_lengths is None
    assert Mask(T, T, documents=PAIR, padding_mask=PADDING).document_lengths is None
    assert Mask(T, T, documents=PAIR, bias=BIAS).document_lengths is None
    assert Mask(1, T, documents=(DOCUMENTS[:, -1:], DOCUMENTS)).document_lengths is None


@pytest.mark.parametrize("bf16", [False, True])
def test_the_choice_is_that_of_the_table(bf16, monkeypatch):
    monkeypatch.setattr(kernels, "multiplies_bfloat16", lambda: bf16)
    halves = torch.arange(2).repeat_interleave(512).expand(B, -1)

    def chosen(dtype, dropout=0.0, keys=64, device="cpu", documents=None):
        query = torch.empty(B, H, keys, D, dtype=dtype, device=device)
        return choose(query, Mask(keys, keys, causal=True, documents=None if documents is None else (documents, documents)), dropout)

    for dtype in (torch.float32, torch.float64):
        assert chosen(dtype) is fused and chosen(dtype, 0.1) is products
    half = products if bf16 else fused
    assert chosen(torch.bfloat16) is half and chosen(torch.bfloat16, 0.1, keys=512) is half
    assert chosen(torch.bfloat16, keys=256) is fused and chosen(torch.float16, 0.1) is fused
    assert chosen(torch.float32, 0.1, device="meta") is fused
    assert chosen(torch.float32, keys=1024, documents=halves) is by_document
    query = torch.empty(B, H, 64, D)
    assert (
        choose(query, Mask(64, 64), 0.0, plain=False) is products and choose(query.to("meta"), Mask(64, 64), 0.0, plain=False) is products
    )
    assert chosen(torch.float32, keys=T, documents=DOCUMENTS) is fused  # seven tokens: calls cost more than scores
    with torch.autocast("cpu", torch.bfloat16):
        assert chosen(torch.float32) is half and chosen(torch.float64) is fused


def test_weights_are_recorded_of_every_kernel():
    documents = torch.arange(2).repeat_interleave(256).expand(B, -1)
    for mask in (Mask(512, 512), Mask(512, 512, documents=(documents, documents))):
        query, key, value = (torch.randn(B, H, 512, D) for _ in range(3))
        with AttentionWeights() as recorded:
            attended = attend(query, key, value, mask, dropout=0.0)
            attend(query, key, value, mask, dropout=0.5)
        torch.testing.assert_close(recorded.weights[0] @ value, attended)
        assert recorded.weights[0].equal(recorded.weights[1])


def test_dropout_of_weights_can_be_turned_off():
    arguments = inputs(T)
    with WithoutDropout():
        assert attend(*arguments, Mask(T, T), dropout=0.5).equal(fused(*arguments, Mask(T, T)))


def test_a_changed_mask_has_documents_of_its_own():
    assert replace(MASKS["documents"], documents=None).document_lengths is None
