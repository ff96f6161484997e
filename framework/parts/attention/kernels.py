"""Kernels of scaled dot-product attention, and the choice between them.

Shapes: B batch, T query length, S key length, H heads, K key/value heads, d head dimension, L tokens of a document.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import handle_torch_function, has_torch_function_variadic

from framework.parts.dropout import dropout as drop
from framework.parts.masks import Mask
from framework.utils.processors import multiplies_bfloat16

Kernel = Callable[[Tensor, Tensor, Tensor, Mask, float, float | None, float | None, Tensor | None], Tensor]

CHUNK = 128  # queries of one matrix of scores: it stays in the cache of a core, and bounds the memory
PRODUCTS_BELOW = 256  # keys; from there on torch's kernel is as fast in bfloat16
PADDED_FROM = 2**16  # scores of a head from which features of zeros cost less than a kernel for other widths
CALL = 4096  # scores of a head that take as long as what a call for one document costs beside its scores


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask,
    dropout: float = 0.0,
    scale: float | None = None,
    logit_cap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention under a mask. Vaswani et al. 2017, section 3.2.1, https://arxiv.org/abs/1706.03762

    query: (B, H, T, d). key: (B, K, S, d). value: (B, K, S, d'), where H is a multiple of K. Returns (B, H, T, d').
    dropout: rate of the attention weights; 0 in evaluation. scale: multiplier of the scores; None = 1 / sqrt(d).
    logit_cap: scaled scores s become logit_cap * tanh(s / logit_cap), before bias and mask; None = they stay as they are.
    sinks: (H,), the logit of a key without value for each head, which every query attends to; None = there is none.
    A query that no key is allowed to gets zeros.

    The kernel depends on device, dtype, mask, dropout and lengths alone, never on time: the same batch has the same result.

    >>> query = torch.randn(1, 4, 6, 8)
    >>> attend(query, query[:, :2], query[:, :2], Mask(6, 6, causal=True)).shape
    torch.Size([1, 4, 6, 8])
    """
    if has_torch_function_variadic(query, key, value):
        options: dict[str, Any] = {"dropout": dropout, "scale": scale, "logit_cap": logit_cap, "sinks": sinks}
        return handle_torch_function(attend, (query, key, value), query, key, value, mask, **options)
    mask = mask if mask.relative is None else mask.of(query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale))
    kernel = choose(query, mask, dropout, plain=logit_cap is None and sinks is None)
    return kernel(query, key, value, mask, dropout, scale, logit_cap, sinks)


def choose(query: Tensor, mask: Mask, dropout: float, plain: bool = True) -> Kernel:
    """The fastest kernel, by the measurements of benchmarks/kernels.py:

    | device | documents | dtype            | dropout | keys      | kernel      |
    |--------|-----------|------------------|---------|-----------|-------------|
    | others | any       | any              | any     | any       | fused       |
    | CPU    | several   | any              | any     | any       | by_document |
    | CPU    | one       | float32, float64 | no      | any       | fused       |
    | CPU    | one       | float32, float64 | yes     | any       | products    |
    | CPU    | one       | bfloat16         | no      | below 256 | products    |
    | CPU    | one       | bfloat16         | yes     | any       | products    |

    by_document where it saves scores, else as for one document. In bfloat16 only where the processor multiplies it; all else is fused, and
    so are exported programs. plain: without cap and sinks, which torch's kernel does not have: products take its place.
    """
    if query.device.type != "cpu" or torch.compiler.is_exporting():
        return fused if plain else products
    if mask.document_lengths is not None and sum(length**2 + CALL for length in mask.document_lengths) < query.shape[0] * mask.keys**2:
        return by_document
    if not plain:
        return products
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") and query.dtype != torch.float64 else query.dtype
    if dtype == torch.bfloat16:
        faster = multiplies_bfloat16() and (dropout > 0 or mask.keys < PRODUCTS_BELOW)
    else:
        faster = dropout > 0 and dtype != torch.float16
    return products if faster else fused


def fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask,
    dropout: float = 0.0,
    scale: float | None = None,
    logit_cap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """torch's kernel, as `attend` without cap and sinks."""
    assert logit_cap is None and sinks is None, "torch's kernel has neither a cap nor sinks"
    grouped, width, wanted = key.shape[1] != query.shape[1], query.shape[-1], value.shape[-1]
    # an exported program serves any length, so nothing in it depends on one
    padded = width != wanted and max(width, wanted) <= 2 * min(width, wanted) and not torch.compiler.is_exporting()
    if padded and query.shape[2] * key.shape[2] >= PADDED_FROM:
        scale = 1 / math.sqrt(width) if scale is None else scale  # torch's fast kernels want equal widths; zeros change no product
        query, key = (functional.pad(x, (0, max(0, wanted - width))) for x in (query, key))
        value = functional.pad(value, (0, max(0, width - wanted)))
        attended = scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale, enable_gqa=grouped, **mask.sdpa())
        return attended[..., :wanted]
    return scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale, enable_gqa=grouped, **mask.sdpa())


def products(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask,
    dropout: float = 0.0,
    scale: float | None = None,
    logit_cap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Matrix products and a softmax, for chunks of queries, as `attend`. A chunk of causal attention has no scores of later keys."""
    query = query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if torch.compiler.is_exporting():  # a program serves any length; the number of chunks would be a constant in it
        return _chunk(query, key, value, mask, 0, dropout, logit_cap, sinks)
    causal, chunks = mask.sdpa().get("is_causal", False), []
    for start in range(0, query.shape[2], CHUNK):
        stop = min(start + CHUNK, query.shape[2])
        keys = stop if causal else key.shape[2]
        pieces = query[:, :, start:stop], key[:, :, :keys], value[:, :, :keys]
        chunks.append(_chunk(*pieces, mask, start, dropout, logit_cap, sinks))
    return chunks[0] if len(chunks) == 1 else torch.cat(chunks, dim=2)


def _chunk(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask,
    start: int,
    dropout: float,
    logit_cap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Attention of scaled queries, the first of which is number `start`."""
    scores = _grouped(query, key.mT)  # (B, H, T, S)
    if logit_cap is not None:
        scores = logit_cap * torch.tanh(scores / logit_cap)
    added, without_key = _additive(mask, start, scores)
    if added is not None:
        scores = scores + added
    attended = _grouped(drop(scores.softmax(-1), dropout), value)  # (B, H, T, d)
    if sinks is not None:  # softmax over scores and sink = softmax over scores, times the share of the scores in the denominator
        share = torch.sigmoid(scores.logsumexp(-1, keepdim=True) - sinks[:, None, None])  # (B, H, T, 1)
        attended = attended * share.to(attended.dtype)
    return attended if without_key is None else attended.masked_fill(without_key, 0.0)


def _grouped(x: Tensor, y: Tensor) -> Tensor:
    """Products x y of (B, H, T, n) and (B, K, n, m): (B, H, T, m). The x of a group of heads are one matrix, so y is not copied."""
    batch, heads, length, _ = x.shape
    if heads == y.shape[1]:
        return x @ y
    return (x.reshape(batch, y.shape[1], -1, x.shape[-1]) @ y).view(batch, heads, length, y.shape[-1])


def _additive(mask: Mask, start: int, scores: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The additive mask of a chunk of scores, (B or 1, H or 1, T or 1, S), and the mask of its queries without a key, the same with S = 1.
    None: nothing is added; all queries have a key. A key that is not allowed gets the lowest number: with -inf alone a softmax is NaN."""
    (queries, keys), dtype, keywords = scores.shape[2:], scores.dtype, mask.sdpa()
    lowest = torch.finfo(dtype).min
    if keywords.get("is_causal"):
        return scores.new_full((queries, keys), lowest).triu_(start + 1)[None, None], None
    given = keywords.get("attn_mask")
    if given is None:
        return None, None
    if given.shape[2] > 1:
        given = given[:, :, start : start + queries]
    if given.dtype == torch.bool:
        without_key, added = ~given.any(-1, keepdim=True), torch.zeros_like(given, dtype=dtype).masked_fill_(~given, lowest)
    else:
        without_key, added = (given == -math.inf).all(-1, keepdim=True), given.to(dtype).clamp(min=lowest)
    return added, without_key if given.device.type != "cpu" or torch.compiler.is_compiling() or without_key.any() else None


def by_document(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask,
    dropout: float = 0.0,
    scale: float | None = None,
    logit_cap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """One call for each document of packed rows, as `attend`: none of the scores between documents."""
    assert mask.document_lengths is not None
    documents = zip(*(_tokens(x).split(mask.document_lengths) for x in (query, key, value)), strict=True)  # (L, H or K, d) each
    attended = []
    for pieces in documents:
        inner = Mask(pieces[0].shape[0], pieces[0].shape[0], mask.causal, window=mask.window, device=mask.device)
        one, other, third = (piece.transpose(0, 1)[None] for piece in pieces)  # (1, H or K, L, d)
        kernel = choose(one, inner, dropout, plain=logit_cap is None and sinks is None)
        attended.append(kernel(one, other, third, inner, dropout, scale, logit_cap, sinks)[0].transpose(0, 1))
    return torch.cat(attended).unflatten(0, (query.shape[0], -1)).transpose(1, 2)  # (B, H, T, d)


def _tokens(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)  # (B, H, T, d) -> (B T, H, d)
