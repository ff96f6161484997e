"""Mixture of experts: a router sends each token to a few of many feed-forward networks.

Shapes: B batch, T tokens, D model dimension, E experts, k experts of a token, N tokens of the batch without padding.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.registry import Part, choice, register
from framework.utils.recording import add_loss, log_figure


@register("feed_forward")
class MixtureOfExpertsFeedForward(nn.Module):
    """Sparse mixture of experts: the sum of the best experts by a router. Shazeer et al. 2017, section 2, https://arxiv.org/abs/1701.06538

    No token is dropped, however many an expert gets. Padding goes to no expert and counts in no loss. The figures `expert_most` and
    `expert_least` are the shares of tokens of the expert with the most and with the least of them, means over layers.

    experts: their number.
    active: experts of a token.
    expert: the feed-forward network that each expert is.
    shared_experts: further experts that get every token. Dai et al. 2024 (DeepSeekMoE), section 3.2, https://arxiv.org/abs/2401.06066
    router_bias: whether the router has a bias (gpt-oss).
    normalized: whether the weights of a token's experts sum to 1 (Mixtral), or are their probabilities among all experts (Switch).
    balance_loss: coefficient of the loss that balances the experts within each row. DeepSeek-AI 2024 (DeepSeek-V3), section 2.1.2,
        https://arxiv.org/abs/2412.19437; a mean over rows is the same in any number of batches, which that of a batch is not.
    z_loss: coefficient of the loss that keeps the router's logits small. Zoph et al. 2022, equation 5, https://arxiv.org/abs/2202.08906
    """

    rules: ClassVar[dict[str, str]] = {
        "0 < experts <= 2**16": "experts must be positive, and at most 2**16",
        "0 < active <= experts": "active must be positive, and at most experts",
        "0 <= shared_experts <= 2**16": "shared_experts must not be negative, and at most 2**16",
        "expert_part != 'mixture_of_experts'": "an expert is a dense network: choose another expert",
        "active > 1 or not normalized": "one expert has the weight 1 where normalized=true, which trains no router: set normalized=false",
        "0 <= balance_loss < 1e6": "balance_loss must not be negative, and must be below 1,000,000",
        "0 <= z_loss < 1e6": "z_loss must not be negative, and must be below 1,000,000",
    }
    option_traits: ClassVar = {"training_only": ("balance_loss", "z_loss")}
    sparse_parameters = ("experts.*",)

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_layers: int,
        dropout: float,
        bias: bool,
        epsilon: float,
        layer: int,
        experts: int = 8,
        active: int = 2,
        expert: Part = choice("feed_forward", "gated"),
        shared_experts: int = 0,
        router_bias: bool = False,
        normalized: bool = True,
        balance_loss: float = 0.01,
        z_loss: float = 0.001,
    ):
        super().__init__()
        context = {"dim": dim, "num_heads": num_heads, "num_layers": num_layers, "dropout": dropout, "bias": bias, "epsilon": epsilon}
        self.router = nn.Linear(dim, experts, bias=router_bias)
        self.experts = nn.ModuleList(expert(**context, layer=layer) for _ in range(experts))
        self.shared = nn.ModuleList(expert(**context, layer=layer) for _ in range(shared_experts))
        self.active, self.normalized, self.balance_loss, self.z_loss = active, normalized, balance_loss, z_loss

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """x (B, T, D), padding_mask (B, T), True = token -> (B, T, D), zeros at padding."""
        logits = self.router(x)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (B, T, E)
        probabilities = logits.softmax(-1)
        weights, chosen = probabilities.topk(self.active, dim=-1)  # (B, T, k)
        if self.normalized:
            weights = weights / weights.sum(-1, keepdim=True)
        if self.training:
            self._record(logits, probabilities, chosen, padding_mask)
        weights = weights.to(x.dtype)
        if torch.compiler.is_exporting():  # the tokens of an expert depend on values, which a program cannot: every expert gets all of them
            dense = torch.zeros_like(probabilities, dtype=x.dtype).scatter(-1, chosen, weights)
            mixed = torch.stack([expert(x) * dense[..., number, None] for number, expert in enumerate(self.experts)]).sum(0)
            return self._with_shared(mixed, x)
        if padding_mask is None:
            return self._mixed(*(each.flatten(0, 1) for each in (x, weights, chosen))).view_as(x)
        mixed = self._mixed(*(each[padding_mask] for each in (x, weights, chosen)))
        return x.new_zeros(x.shape).masked_scatter(padding_mask[..., None], mixed.to(x.dtype))

    @torch.compiler.disable(recursive=False)  # the numbers of tokens are known when it runs; the experts are compiled
    def _mixed(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """The weighted sum of the chosen experts of tokens (N, D); weights, chosen: (N, k). An expert without a token is called with none:
        its gradients are zero rather than missing, so that processes agree on what has one."""
        order = chosen.flatten().argsort(stable=True)  # pairs of token and expert, by expert
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        pieces = tokens[order // self.active].split(counts)
        outputs = torch.cat([expert(piece) for expert, piece in zip(self.experts, pieces, strict=True)])
        outputs = outputs * weights.flatten()[order, None]
        mixed = torch.zeros_like(outputs).index_copy(0, order, outputs).unflatten(0, chosen.shape).sum(1)
        return self._with_shared(mixed, tokens)

    def _with_shared(self, mixed: Tensor, x: Tensor) -> Tensor:
        for expert in self.shared:
            mixed = mixed + expert(x)
        return mixed

    def _record(self, logits: Tensor, probabilities: Tensor, chosen: Tensor, padding_mask: Tensor | None) -> None:
        """Adds the losses and logs the figures; each loss is a sum over rows or tokens, so that a step has their mean over all batches."""
        experts = len(self.experts)
        real = logits.new_ones(logits.shape[:2]) if padding_mask is None else padding_mask.to(logits.dtype)  # (B, T)
        count = real.sum(1, keepdim=True)  # (B, 1)
        picked = torch.zeros_like(probabilities).scatter_(-1, chosen, 1.0) * real[..., None]  # (B, T, E)
        used = picked.sum(1) / count.clamp(min=1)  # (B, E): share of the row's tokens
        mean = (probabilities * real[..., None]).sum(1) / count.clamp(min=1)  # (B, E)
        add_loss("router_balance", self.balance_loss * experts / self.active * (used * mean).sum(-1), weight=(count > 0).sum())
        add_loss("router_z", self.z_loss * logits.logsumexp(-1).square() * real, weight=real.sum())
        shares = picked.detach().sum((0, 1)) / real.sum().clamp(min=1)
        log_figure("expert_most", shares.max())
        log_figure("expert_least", shares.min())
