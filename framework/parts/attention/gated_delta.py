"""Gated DeltaNet: a matrix of associations for each head, which forgets, and corrects what it answers to a key.

Shapes: B batch, T tokens, C tokens of a chunk, N chunks, H heads, d and v features of a key and of a value, F features of the convolution.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.parts.attention.base import Attention, recurrent_rules
from framework.parts.caches import Cache, KVCache
from framework.parts.layout import SequenceLayout
from framework.parts.masks import Mask
from framework.registry import register

State = tuple[Tensor, ...]
CHUNK = 64  # tokens whose products are a matrix; chunks follow one another


@register("attention")
class GatedDeltaAttention(Attention):
    """Gated delta rule: a state S of fixed size in place of scores. Yang et al. 2024, section 3, https://arxiv.org/abs/2412.06464

    S_t = a_t S_(t-1) (1 - b_t k_t k_t^T) + b_t v_t k_t^T, outputs S_t q_t: a_t of S stays, b_t of what k_t gives is corrected.

    Queries, keys and values pass a short causal convolution and SiLU, queries and keys are unit vectors, the output has a norm and a gate.
    In training chunks of 64 tokens are computed by matrix products; in decoding the state is carried from token to token.

    head_dim: features of a head's keys; null = dim / num_heads.
    value_dim: features of a head's values; null = head_dim (the paper: 2 head_dim, with head_dim = 3/4 of dim / num_heads).
    convolution: tokens that the convolution reads, the current one included.
    """

    rules: ClassVar[dict[str, str]] = {
        "head_dim is None or 0 < head_dim <= 2**16": "head_dim must be positive, and at most 2**16",
        "head_dim is not None or dim % num_heads == 0": "dim must be a multiple of num_heads where head_dim is null",
        "value_dim is None or 0 < value_dim <= 2**16": "value_dim must be positive, and at most 2**16",
        "0 < convolution <= 64": "convolution must be at least 1 and at most 64",
        **recurrent_rules("gated_delta"),
        "'rotary' not in provided": "gated_delta mixes keys of neighbors by its convolution, and a mixture has no one position",
    }

    def __init__(
        self,
        dim: int,
        num_heads: int,
        bias: bool,
        epsilon: float,
        causal: bool,
        head_dim: int | None = None,
        value_dim: int | None = None,
        convolution: int = 4,
    ):
        super().__init__()
        self.num_heads, self.key_dim = num_heads, head_dim or dim // num_heads
        self.value_dim = value_dim or self.key_dim
        self.rotary_dim = self.key_dim
        features = num_heads * (2 * self.key_dim + self.value_dim)
        self.input = nn.Linear(dim, features, bias=bias)  # queries, keys, values
        self.rates = nn.Linear(dim, 2 * num_heads, bias=False)  # of forgetting, of correcting
        self.gate = nn.Linear(dim, num_heads * self.value_dim, bias=bias)
        self.output = nn.Linear(num_heads * self.value_dim, dim, bias=bias)
        self.norm = nn.RMSNorm(self.value_dim, eps=epsilon)
        self.convolution = nn.Parameter(torch.empty(convolution, features).uniform_(-1, 1) * convolution**-0.5)
        self.log_decay = nn.Parameter(torch.empty(num_heads).uniform_(1, 16).log())  # as in Mamba 2
        step = torch.empty(num_heads).uniform_(-6.9, -2.3).exp()  # 0.001 to 0.1
        self.step = nn.Parameter(step.expm1().log())  # softplus gives it back

    def cache(self) -> Cache:
        return GatedDeltaCache(self.recur)

    def keys_values(self, x: Tensor, layout: SequenceLayout) -> tuple[Tensor, ...]:
        """Inputs of the convolution (B, T, F), logarithms of a and b (B, T, H). A padding token adds nothing and nothing is forgotten."""
        rates = self.rates(x)
        forget, correct = rates.to(torch.promote_types(rates.dtype, torch.float32)).chunk(2, dim=-1)
        decay = -self.log_decay.exp() * functional.softplus(forget + self.step)
        mixed, beta = self.input(x), correct.sigmoid()
        if layout.padding_mask is None:
            return mixed, decay, beta
        token = layout.padding_mask[..., None]
        return mixed * token, decay * token, beta * token

    def forward(self, x: Tensor, keys_values: tuple[Tensor, ...], layout: SequenceLayout, mask: Mask) -> Tensor:
        """keys_values: as from `keys_values`, or from a cache the outputs of the recurrence, (B, T, H, v)."""
        assert mask.bias is None and mask.window is None and mask.causal, "the rules refuse a bias, a window and an encoder"
        documents = None if mask.documents is None else mask.documents[0]
        attended = keys_values[0] if len(keys_values) == 1 else self.recur(keys_values, (), documents)[0]
        gate = functional.silu(self.gate(x)).unflatten(-1, (self.num_heads, -1))
        return self.output((self.norm(attended.to(x.dtype)) * gate).flatten(2))  # (B, T, D)

    def recur(self, inputs: State, state: State, documents: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, H, v), and the state after the last token: that of the heads (B, H, d, v) and the newest inputs of the convolution
        (B, convolution - 1, F). inputs: as from `keys_values`. state: () = no token yet. documents: (B, T)."""
        mixed, decay, beta = inputs
        width = len(self.convolution)
        mixed = torch.cat((state[1], mixed), dim=1) if state else functional.pad(mixed, (0, 0, width - 1, 0))
        kept = mixed[:, mixed.shape[1] - width + 1 :]
        mixed = mixed.to(torch.promote_types(mixed.dtype, torch.float32))  # sums over all tokens need the precision
        features = functional.silu(convolved(mixed, self.convolution, documents)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        query, key, value = features.split([self.key_dim, self.key_dim, self.value_dim], dim=-1)
        query, key = (x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6) for x in (query, key))  # unit vectors
        decay, beta = (x.to(query.dtype).transpose(1, 2) for x in (decay, beta))  # (B, H, T)
        memory = state[0] if state else query.new_zeros(*query.shape[:2], self.key_dim, self.value_dim)
        attended, memory = delta_rule(query * self.key_dim**-0.5, key, value, decay, beta, memory, documents)
        return attended.transpose(1, 2), (memory, kept)


def convolved(x: Tensor, weight: Tensor, documents: Tensor | None) -> Tensor:
    """Causal convolution of each feature alone: x (B, K - 1 + T, F), weight (K, F), its last row for the current token -> (B, T, F).

    documents: (B, T); tokens of another document are not read.
    """
    width, length = len(weight), x.shape[1] - len(weight) + 1
    total = x[:, width - 1 :] * weight[-1]
    for back in range(1, width):
        shifted = x[:, width - 1 - back : width - 1 - back + length]
        if documents is not None:
            earlier = functional.pad(documents, (back, 0), value=-1)[:, :length]
            shifted = shifted * (documents == earlier)[..., None]
        total = total + shifted * weight[-1 - back]
    return total


def delta_rule(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, beta: Tensor, memory: Tensor, documents: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The recurrence in chunks, by the WY representation. Yang et al. 2024, section 3.3 and appendix A.

    query, key: (B, H, T, d). value: (B, H, T, v). decay, beta: (B, H, T), the logarithm of a, and b. memory: (B, H, d, v) before the first
    token. documents: (B, T), each begins with an empty memory; all tokens are one chunk then. Returns outputs (B, H, T, v) and the memory.
    """
    length = query.shape[2]
    if length == 1 and documents is None:
        memory = memory * decay.exp()[..., None]
        correction = beta[..., None] * (value - key @ memory)  # (B, H, 1, v)
        memory = memory + key.mT @ correction
        return query @ memory, memory
    # an exported program serves any length; the number of chunks would be a constant in it
    whole = documents is not None or torch.compiler.is_exporting() or length <= CHUNK
    count, chunk = (1, length) if whole else (-(-length // CHUNK), CHUNK)
    padding = count * chunk - length
    query, key, value = (functional.pad(x, (0, 0, 0, padding)).unflatten(2, (count, chunk)) for x in (query, key, value))  # (B, H, N, C, .)
    decay, beta = (functional.pad(x, (0, padding)).unflatten(2, (count, chunk)) for x in (decay, beta))  # (B, H, N, C)
    total = decay.cumsum(-1)
    past = torch.ones(chunk, chunk, dtype=torch.bool, device=query.device).tril()
    if documents is not None:
        past = past & (documents[:, :, None] == documents[:, None, :])[:, None, None]  # (B, 1, 1, T, T)
    ratio = (total[..., :, None] - total[..., None, :]).masked_fill(~past, -torch.inf).exp()  # (B, H, N, C, C)
    corrected = (beta[..., None] * (key @ key.mT) * ratio).tril(-1)  # what each key has learned of those before it
    right = beta[..., None] * torch.cat((value, key * total.exp()[..., None]), dim=-1)
    new, read = torch.linalg.solve_triangular(corrected, right, upper=False, unitriangular=True).split(
        [value.shape[-1], key.shape[-1]], dim=-1
    )
    scores = query @ key.mT * ratio  # (B, H, N, C, C)
    query = query * total.exp()[..., None]
    key = key * (total[..., -1:] - total).exp()[..., None]
    outputs = []
    for n in range(count):
        if documents is None:
            correction = new[:, :, n] - read[:, :, n] @ memory  # (B, H, C, v)
            outputs.append(query[:, :, n] @ memory + scores[:, :, n] @ correction)
            memory = memory * total[:, :, n, -1, None, None].exp() + key[:, :, n].mT @ correction
        else:
            outputs.append(scores[:, :, n] @ new[:, :, n])
    return torch.cat(outputs, dim=2)[:, :, :length], memory


class GatedDeltaCache(KVCache):
    """The state of the recurrence: that of the heads (B, H, d, v), and the newest inputs of the convolution (B, convolution - 1, F).

    recur: function of inputs and state that returns outputs and the next state.
    """

    def __init__(self, recur: Callable[[State, State], tuple[Tensor, State]]):
        super().__init__()
        self.recur = recur

    def update(self, keys_values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs of the recurrence for the new tokens."""
        outputs, self.tensors = self.recur(keys_values, self.tensors)
        return (outputs,)
