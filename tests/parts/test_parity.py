"""Parts against independent references at toy size: torch's own Transformer, and scalar loops over the formulas of the papers."""

import math

import pytest
import torch
from torch import nn

from framework.parts.attention.linear import LinearAttention
from framework.parts.attention.multi_head import MultiHeadAttention
from framework.parts.decoders import CrossDecoder
from framework.parts.encoders import Encoder
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.parts.positions.alibi import AlibiPosition
from framework.parts.positions.relative import RelativePosition
from framework.parts.positions.rotary import RotaryPosition
from framework.parts.positions.sinusoidal import SinusoidalPosition
from framework.registry import Part
from tests.precision import BILLIONTH, close, doubles

DIM, HEADS, WIDTH = 12, 3, 4
OFFERS = {"dim": DIM, "num_heads": HEADS, "dropout": 0.0, "bias": True, "epsilon": 1e-5}
REAL = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()


@pytest.fixture(autouse=True)
def precision():
    """Runs both sides in float64."""
    torch.manual_seed(0)
    with doubles():
        yield


def load_attention(mine: nn.Module, theirs: nn.MultiheadAttention) -> None:
    """Copy the weights of torch's attention, which has query, key and value projections in one matrix."""
    with torch.no_grad():
        for part, weight, bias in zip(
            (mine.query, mine.key, mine.value), theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.normal_().chunk(3), strict=True
        ):
            part.weight.copy_(weight)
            part.bias.copy_(bias)
        mine.output.load_state_dict(theirs.out_proj.state_dict())


def attend(attention, x, mask, context=None, rotary=None, padding_mask=None):
    layout = SequenceLayout(torch.arange(x.shape[1])[None], padding_mask, rotary)
    return attention(x, attention.keys_values(x if context is None else context, layout), layout, mask)


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_is_torchs_self_attention(causal):
    theirs, mine = nn.MultiheadAttention(DIM, HEADS, batch_first=True), Part(MultiHeadAttention)(**OFFERS)
    load_attention(mine, theirs)
    x = torch.randn(2, 5, DIM)
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    close(attend(mine, x, Mask(5, 5, causal)), theirs(x, x, x, attn_mask=hidden)[0])


def test_multi_head_is_torchs_cross_attention_to_a_padded_context():
    theirs, mine = nn.MultiheadAttention(DIM, HEADS, batch_first=True), Part(MultiHeadAttention)(**OFFERS)
    load_attention(mine, theirs)
    x, context = torch.randn(2, 4, DIM), torch.randn(2, 5, DIM)
    close(attend(mine, x, Mask(4, 5, padding_mask=REAL), context), theirs(x, context, context, key_padding_mask=~REAL)[0])


def test_fewer_key_value_heads_are_repeated_ones():
    grouped = Part(MultiHeadAttention, num_kv_heads=2)(**{**OFFERS, "num_heads": 4})
    full = Part(MultiHeadAttention)(**{**OFFERS, "num_heads": 4})
    with torch.no_grad():
        full.load_state_dict(
            {
                name: value.unflatten(0, (2, -1)).repeat_interleave(2, dim=0).flatten(0, 1) if name.startswith(("key", "value")) else value
                for name, value in grouped.state_dict().items()
            }
        )
    x = torch.randn(2, 5, DIM)
    close(attend(grouped, x, Mask(5, 5, True)), attend(full, x, Mask(5, 5, True)))


def test_scale_and_head_dim_and_qk_norm_are_what_they_say():
    mine = Part(MultiHeadAttention, head_dim=6, scale=0.7, qk_norm=Part("norm/rms"))(**{**OFFERS, "num_heads": 2})
    x = torch.randn(2, 5, DIM)
    with torch.no_grad():
        mine.query_norm.weight.normal_()
        mine.key_norm.weight.normal_()

    def num_heads(linear, norm=None):
        split = torch.stack(linear(x).split(6, dim=-1))  # (H, B, T, d)
        return split if norm is None else split / (split.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight

    query, key, value = num_heads(mine.query, mine.query_norm), num_heads(mine.key, mine.key_norm), num_heads(mine.value)
    seen = (0.7 * query @ key.transpose(-1, -2)).softmax(-1) @ value
    close(attend(mine, x, Mask(5, 5)), mine.output(torch.cat(list(seen), dim=-1)))


def load_layer(mine, theirs, cross: bool) -> None:
    load_attention(mine.attention, theirs.self_attn)
    norms = [theirs.norm1, theirs.norm2]
    if cross:
        load_attention(mine.cross, theirs.multihead_attn)
        norms.append(theirs.norm3)
    mine.feed_forward.input.load_state_dict(theirs.linear1.state_dict())
    mine.feed_forward.output.load_state_dict(theirs.linear2.state_dict())
    for norm, other in zip(mine.block.norms, norms, strict=True):
        nn.init.normal_(other.weight)
        nn.init.normal_(other.bias)
        norm.load_state_dict(other.state_dict())


def stack(cls, block: str):
    parts = {"block": Part(f"block/{block}"), "feed_forward": Part("feed_forward/mlp", hidden=20, activation="relu")}
    return Part(cls, position=Part("position/none"), **parts)(**OFFERS, max_length=9, num_layers=2, embedding_dim=DIM)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
def test_the_encoder_is_torchs(block, padded):
    pre = block == "pre_norm"
    layer = nn.TransformerEncoderLayer(DIM, HEADS, 20, 0.0, batch_first=True, norm_first=pre)
    theirs = nn.TransformerEncoder(layer, 2, nn.LayerNorm(DIM) if pre else None, enable_nested_tensor=False)
    mine = stack(Encoder, block)
    for own, other in zip(mine.layers, theirs.layers, strict=True):
        load_layer(own, other, cross=False)
    x = torch.randn(2, 5, DIM)
    padding_mask = REAL if padded else None
    got, wanted = (
        mine(x, torch.arange(5)[None], padding_mask),
        theirs(x, src_key_padding_mask=None if padding_mask is None else ~padding_mask),
    )
    close(got[REAL], wanted[REAL])


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
def test_the_decoder_is_torchs(block, padded):
    from framework.parts.caches import EncoderOutput

    pre = block == "pre_norm"
    layer = nn.TransformerDecoderLayer(DIM, HEADS, 20, 0.0, batch_first=True, norm_first=pre)
    theirs = nn.TransformerDecoder(layer, 2, nn.LayerNorm(DIM) if pre else None)
    mine = stack(CrossDecoder, block)
    for own, other in zip(mine.layers, theirs.layers, strict=True):
        load_layer(own, other, cross=True)
    x, context = torch.randn(2, 4, DIM), torch.randn(2, 5, DIM)
    padding_mask = REAL if padded else None
    hidden = torch.ones(4, 4, dtype=torch.bool).triu(1)
    got = mine(x, torch.arange(4)[None], EncoderOutput(context, padding_mask))
    close(got, theirs(x, context, tgt_mask=hidden, memory_key_padding_mask=None if padding_mask is None else ~padding_mask))


def test_the_parallel_block_is_its_equation():
    block = Part("block/parallel")(dim=DIM, dropout=0.0, bias=True, epsilon=1e-5, sublayers=2, norm=Part("norm/layer"))
    x, one, two = torch.randn(2, 5, DIM), nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
    close(block(x, (one, two)), x + one(block.norm(x)) + two(block.norm(x)))


def test_blocks_with_norms_after_their_sublayers_are_their_equations():
    offers = {**OFFERS, "num_layers": 2, "layer": 0, "sublayers": 2, "norm": Part("norm/rms")}
    x, one, two = torch.randn(2, 5, DIM), nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
    sandwich, reordered, deep = (Part(f"block/{name}")(**offers) for name in ("sandwich", "reordered", "deep_norm"))
    for parameter in (parameter for block in (sandwich, reordered, deep) for parameter in block.parameters()):
        nn.init.normal_(parameter)

    def norm(x, of):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * of.weight

    between = x + norm(one(norm(x, sandwich.before[0])), sandwich.after[0])
    close(sandwich(x, (one, two)), between + norm(two(norm(between, sandwich.before[1])), sandwich.after[1]))
    between = x + norm(one(x), reordered.norms[0])
    close(reordered(x, (one, two)), between + norm(two(between), reordered.norms[1]))
    between = norm(math.sqrt(2) * x + one(x), deep.norms[0])  # (2 * 2)^(1/4)
    close(deep(x, (one, two)), norm(math.sqrt(2) * between + two(between), deep.norms[1]))


def test_dynamic_tanh_is_its_equation():
    norm = Part("norm/dynamic_tanh", alpha=0.7)(dim=DIM, bias=True)
    assert norm.alpha.item() == pytest.approx(0.7) and (norm.weight == 1).all() and not norm.bias.any()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, DIM)
    for b, t, d in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(DIM)).tolist():
        wanted = norm.weight[d].item() * math.tanh(0.7 * x[b, t, d].item()) + norm.bias[d].item()
        assert norm(x)[b, t, d].item() == pytest.approx(wanted, abs=BILLIONTH)


def test_sinusoids_are_those_of_the_paper():
    got = Part(SinusoidalPosition)(dim=DIM).embed(torch.zeros(1, 5, DIM), torch.tensor([[0, 1, 2, 7, 100]]))
    for row, position in enumerate([0, 1, 2, 7, 100]):
        for i in range(DIM // 2):
            angle = position / 10000 ** (2 * i / DIM)
            close(got[0, row, 2 * i : 2 * i + 2], torch.tensor([math.sin(angle), math.cos(angle)]))


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("fraction, rotary_dim", [(1.0, 8), (0.5, 4), (0.8, 6)])
def test_rotary_rotates_pairs_by_their_angle(interleaved, fraction, rotary_dim):
    position = Part(RotaryPosition, base=100.0, fraction=fraction, interleaved=interleaved)(dim=DIM)
    positions = torch.tensor([[0, 1, 5], [3, 2, 9]])
    x = torch.randn(2, 3, 3, 8)  # (B, H, T, d)
    got = position.rotary(positions, 8)(x)
    for b, h, t in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(3)).tolist():
        wanted = x[b, h, t].tolist()
        for pair in range(rotary_dim // 2):
            angle = float(positions[b, t]) * 100.0 ** (-2 * pair / rotary_dim)
            first, second = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + rotary_dim // 2)
            a, c = float(x[b, h, t, first]), float(x[b, h, t, second])
            wanted[first], wanted[second] = a * math.cos(angle) - c * math.sin(angle), a * math.sin(angle) + c * math.cos(angle)
        close(got[b, h, t], torch.tensor(wanted))


def test_llama_3_slows_the_slow_pairs():
    """Pair by pair, by the number of periods in a text of the trained length."""
    values = {"scaling": "llama3", "base": 100.0, "factor": 4.0, "trained_length": 64, "slow": 1.0, "fast": 5.0}
    got = torch.atan2(*(getattr(Part("position/rotary", **values)().rotary(torch.tensor([[1]]), 16), of) for of in ("sin", "cos")))
    kinds = set()
    for pair in range(8):
        speed = 100.0 ** (-2 * pair / 16)
        turns = 64 * speed / (2 * math.pi)
        share = 1.0 if turns > 5 else 0.0 if turns < 1 else (turns - 1) / 4
        kinds.add(share if share in (0.0, 1.0) else 0.5)
        assert got[0, 0, 0, pair].item() == pytest.approx(speed * (share + (1 - share) / 4), rel=BILLIONTH)
    assert kinds == {0.0, 0.5, 1.0}


@pytest.mark.parametrize("dim", [8, 32])
@pytest.mark.parametrize(
    ("scaling", "theirs", "ours"),
    [
        ("linear", {}, {}),
        ("llama3", {"low_freq_factor": 1.0, "high_freq_factor": 4.0}, {}),
        ("yarn", {}, {}),
        ("yarn", {"truncate": False, "attention_factor": 1.5}, {"truncate": False, "temperature": 1.5}),
    ],
)
def test_scaled_rotary_is_that_of_transformers(scaling, theirs, ours, dim):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {"rope_type": scaling, "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128, **theirs}
    config = LlamaConfig(hidden_size=2 * dim, num_attention_heads=2, max_position_embeddings=512, rope_parameters=rope)
    frequencies, factor = ROPE_INIT_FUNCTIONS[scaling](config, torch.device("cpu"))
    positions = torch.tensor([[0, 1, 300]])
    got = Part("position/rotary", scaling=scaling, factor=4.0, trained_length=128, **ours)().rotary(positions, dim)
    angles = positions[0, :, None] * frequencies.double()
    close(got.cos[0, 0], factor * angles.cos())
    close(got.sin[0, 0], factor * angles.sin())


def test_ntk_keeps_the_fastest_pair_and_slows_the_slowest():
    """The base of Peng et al. 2023, definition 1, is base * factor^(d / (d - 2))."""
    got = Part("position/rotary", scaling="ntk", factor=4.0)().rotary(torch.arange(9)[None], 8)
    wanted = Part("position/rotary", base=10000.0 * 4.0 ** (8 / 6))().rotary(torch.arange(9)[None], 8)
    close(got.cos, wanted.cos)
    plain = Part("position/rotary")().rotary(torch.arange(9)[None], 8)
    close(got.sin[..., 0], plain.sin[..., 0])
    close(got.sin[..., 4, -1], Part("position/rotary", scaling="linear", factor=4.0)().rotary(torch.arange(9)[None], 8).sin[..., 4, -1])


def test_layers_with_a_base_of_their_own_are_not_scaled():
    position, plain = Part("position/rotary", scaling="linear", local_base=7.0)(), Part("position/rotary", base=7.0)()
    close(position.rotary(torch.arange(5)[None], 8, 3).cos, plain.rotary(torch.arange(5)[None], 8).cos)
    both = Part("position/rotary", scaling="linear")()
    close(both.rotary(torch.arange(5)[None], 8, 3).cos, both.rotary(torch.arange(5)[None], 8).cos)


def test_kerple_lowers_scores_by_the_logarithm_of_the_distance():
    position = Part("position/kerple")(num_heads=HEADS)
    nn.init.normal_(position.log_scale)
    nn.init.normal_(position.log_rate)
    queries, keys = torch.tensor([[2, 5]]), torch.tensor([[0, 2, 6]])
    got = position.bias(queries, keys)
    for head in range(HEADS):
        a, b = math.exp(position.log_scale[head].item()), math.exp(position.log_rate[head].item())
        for t, query in enumerate([2, 5]):
            for s, key in enumerate([0, 2, 6]):
                assert got[0, head, t, s].item() == pytest.approx(-a * math.log(1 + b * abs(query - key)), abs=BILLIONTH)


def test_fire_interpolates_distances_by_the_position():
    position = Part("position/fire", hidden=5, threshold=3.0)(num_heads=HEADS)
    for parameter in position.parameters():
        nn.init.normal_(parameter)
    queries, keys = torch.tensor([[2, 5]]), torch.tensor([[0, 2, 6]])
    got = position.bias(queries, keys)
    rate, threshold = abs(position.rate.item()), abs(3.0 * position.threshold_scale.item())
    for t, query in enumerate([2, 5]):
        for s, key in enumerate([0, 2, 6]):
            share = math.log(1 + rate * abs(query - key)) / (math.log(1 + rate * max(query, key, threshold)) + 1e-6)
            inner = [
                max(0.0, weight.item() * share + bias.item())
                for weight, bias in zip(position.input.weight, position.input.bias, strict=True)
            ]
            for head in range(HEADS):
                wanted = position.output.bias[head].item() + sum(
                    weight.item() * value for weight, value in zip(position.output.weight[head], inner, strict=True)
                )
                assert got[0, head, t, s].item() == pytest.approx(wanted, abs=BILLIONTH)


@pytest.mark.parametrize("num_kv_heads", [1, HEADS])
def test_disentangled_scores_have_keys_and_queries_of_distances(num_kv_heads):
    position = Part("position/disentangled", buckets=4, distance=8)(dim=DIM, epsilon=1e-5, bias=True)
    attention = Part(MultiHeadAttention, num_kv_heads=num_kv_heads, scale=0.4)(**OFFERS)
    nn.init.normal_(position.table.weight)
    x, places = torch.randn(1, 9, DIM), torch.arange(9)[None]
    assert position.place(torch.tensor([0, 1, 2, 3, 7, 9, -1, -3, -9])).tolist() == [4, 5, 6, 7, 7, 7, 3, 1, 0]
    got = attend(attention, x, Mask(9, 9, vectors=position.vectors(places, places)))
    table = position.norm(position.table.weight)

    def heads(vector, linear, head):
        return (linear.weight @ vector + linear.bias).view(-1, WIDTH)[head]

    for t in range(9):
        outputs = []
        for h in range(HEADS):
            shared, scores = h if num_kv_heads == HEADS else 0, []
            query = heads(x[0, t], attention.query, h)
            for s in range(9):
                vector, key = table[int(position.place(torch.tensor(t - s)))], heads(x[0, s], attention.key, shared)
                of_query, of_key = heads(vector, attention.key, shared), heads(vector, attention.query, h)
                scores.append(0.4 * (query @ key + query @ of_query + of_key @ key))
            values = torch.stack([heads(x[0, s], attention.value, shared) for s in range(9)])
            outputs.append(torch.stack(scores).softmax(0) @ values)
        close(got[0, t], attention.output(torch.cat(outputs)))


@pytest.mark.parametrize("causal", [False, True])
def test_shaw_adds_the_vector_of_the_distance_to_the_key(causal):
    position = Part("position/shaw", distance=2)(head_dim=WIDTH, causal=causal)
    attention, x, places = Part(MultiHeadAttention, scale=0.7)(**OFFERS), torch.randn(2, 5, DIM), torch.arange(5)[None]
    mask = Mask(5, 5, causal, relative=lambda query: position.relative(query, places, places))
    got = attend(attention, x, mask)
    for b in range(2):
        for t in range(5):
            heads = []
            for part in (slice(h * WIDTH, (h + 1) * WIDTH) for h in range(HEADS)):
                query, keys = attention.query(x[b, t])[part], attention.key(x[b])[:, part]
                seen = range(t + 1 if causal else 5)
                vectors = [position.table.weight[max(-2, min(s - t, 0 if causal else 2)) + 2] for s in seen]
                scores = torch.stack([0.7 * query @ (keys[s] + vector) for s, vector in zip(seen, vectors, strict=True)])
                heads.append(scores.softmax(-1) @ attention.value(x[b])[: len(seen), part])
            close(got[b, t], attention.output(torch.cat(heads)))


def test_rotated_scores_depend_on_the_distance_alone():
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    position = Part(RotaryPosition)()

    def score(at, of):
        return float((position.rotary(torch.tensor([[at]]), 8)(query) * position.rotary(torch.tensor([[of]]), 8)(key)).sum())

    assert score(7, 3) == pytest.approx(score(4, 0), abs=BILLIONTH) != pytest.approx(score(4, 1), abs=1e-3)


@pytest.mark.parametrize(
    "num_heads, slopes",
    [
        (8, [2**-k for k in range(1, 9)]),
        (4, [2**-2, 2**-4, 2**-6, 2**-8]),
        (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]),  # four heads, then the first and third of eight
        (1, [2**-8]),
    ],
)
def test_alibi_lowers_scores_by_the_distance(num_heads, slopes):
    queries, keys = torch.tensor([[2, 5]]), torch.tensor([[0, 2, 6]])
    got = Part(AlibiPosition)(num_heads=num_heads).bias(queries, keys)
    for head, slope in enumerate(slopes):
        for t, query in enumerate([2, 5]):
            for s, key in enumerate([0, 2, 6]):
                assert got[0, head, t, s].item() == pytest.approx(-slope * abs(query - key), abs=BILLIONTH)


def t5_bucket(offset: int, causal: bool, buckets: int, distance: int) -> int:
    """Section 2.1 of the paper and the published code's boundaries, one number at a time; offset: key minus query."""
    first = 0
    if not causal:
        buckets //= 2
        first = buckets if offset > 0 else 0
    near = max(0, -offset) if causal else abs(offset)
    exact = buckets // 2
    if near < exact:
        return first + near
    return first + min(buckets - 1, exact + int(math.log(near / exact) / math.log(distance / exact) * (buckets - exact) + 1e-9))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("buckets, distance", [(32, 128), (8, 20)])
def test_relative_looks_up_the_bucket_of_t5(causal, buckets, distance):
    position = Part(RelativePosition, buckets=buckets, distance=distance)(num_heads=HEADS, causal=causal)
    places = torch.arange(0, 300)[None]
    got = position.bias(places, places)
    assert got.shape == (1, HEADS, 300, 300)
    for t, s in [(t, s) for t in (0, 20, 150, 299) for s in range(300)]:
        bucket = t5_bucket(s - t, causal, buckets, distance)
        assert got[0, :, t, s].equal(position.table.weight[bucket]), (t, s, bucket)


@pytest.mark.parametrize("rotated_keys", [False, True])
@pytest.mark.parametrize("mode", ["both ways", "causal", "documents"])
def test_linear_attention_is_the_sum_of_the_paper(mode, rotated_keys):
    attention = Part(LinearAttention, chunk=2)(dim=DIM, num_heads=HEADS, bias=True)
    x = torch.randn(2, 5, DIM)
    documents = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
    rotary = RotaryPosition().rotary(torch.arange(5)[None], WIDTH) if rotated_keys else None
    mask = Mask(5, 5, mode != "both ways", None, (documents, documents) if mode == "documents" else None)
    got = attend(attention, x, mask, rotary=rotary, padding_mask=REAL if mode == "both ways" else None)

    def feature(v):
        return torch.tensor([value + 1 if value > 0 else math.exp(value) for value in v.tolist()])

    def rotated(v, position):
        return v if rotary is None else RotaryPosition().rotary(torch.tensor([[position]]), WIDTH)(v[None, None, None])[0, 0, 0]

    for b in range(2):
        for t in range(5):
            num_heads = []
            for h in range(HEADS):
                part = slice(h * WIDTH, (h + 1) * WIDTH)
                query = feature(attention.query(x[b, t])[part])
                above, below = torch.zeros(WIDTH), 0.0
                for s in range(5):
                    if (mode == "both ways" and not REAL[b, s]) or (mode != "both ways" and s > t):
                        continue
                    if mode == "documents" and documents[b, s] != documents[b, t]:
                        continue
                    key = feature(attention.key(x[b, s])[part])
                    above += (rotated(query, t) @ rotated(key, s)) * attention.value(x[b, s])[part]
                    below += query @ key
                num_heads.append(above / below)
            close(got[b, t], attention.output(torch.cat(num_heads)))
