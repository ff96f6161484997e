"""Three Transformers and their training step in plain PyTorch, as a person would write them. Imports nothing of ours.

Shapes: B batch, T target length, S source length, H heads, D model width.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Self-attention, or attention to `memory`."""

    def __init__(self, dim: int, num_heads: int, dropout: float, bias: bool = True, cross: bool = False):
        super().__init__()
        self.num_heads, self.rate = num_heads, dropout
        self.sizes = [dim, 2 * dim] if cross else [3 * dim]
        self.input = nn.ModuleList(nn.Linear(dim, size, bias=bias) for size in self.sizes)
        self.out = nn.Linear(dim, dim, bias=bias)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        if memory is None:
            parts = self.input[0](x).chunk(3, dim=-1)
        else:
            parts = (self.input[0](x), *self.input[1](memory).chunk(2, dim=-1))
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        rate = self.rate if self.training else 0.0
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate, is_causal=causal)
        return self.out(seen.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim: int, activation: Callable[[Tensor], Tensor], bias: bool = True):
        super().__init__()
        self.input, self.output, self.activation = nn.Linear(dim, 4 * dim, bias=bias), nn.Linear(4 * dim, dim, bias=bias), activation

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.activation(self.input(x)))


class PostNormLayer(nn.Module):
    """norm(x + sublayer(x)), with cross-attention or without."""

    def __init__(self, dim: int, num_heads: int, dropout: float, activation: Callable[[Tensor], Tensor], cross: bool = False):
        super().__init__()
        self.attention, self.feed_forward = Attention(dim, num_heads, dropout), FeedForward(dim, activation)
        self.cross = Attention(dim, num_heads, dropout, cross=True) if cross else None
        self.norms, self.dropout = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 + cross)), nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None, memory_mask: Tensor | None = None) -> Tensor:
        x = self.norms[0](x + self.dropout(self.attention(x, mask=mask, causal=self.cross is not None)))
        if self.cross is not None:
            x = self.norms[1](x + self.dropout(self.cross(x, memory, memory_mask)))
        return self.norms[-1](x + self.dropout(self.feed_forward(x)))


class Classifier(nn.Module):
    """BERT's layers over learned positions; classifies the first token."""

    def __init__(self, vocab_size: int, labels: int, length: int, dim: int, num_heads: int, num_layers: int, dropout: float):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, dim), nn.Embedding(length, dim)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        self.layers = nn.ModuleList(PostNormLayer(dim, num_heads, dropout, functional.gelu) for _ in range(num_layers))
        self.head_dropout, self.head = nn.Dropout(dropout), nn.Linear(dim, labels)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        ids, mask = batch["ids"], batch["padding_mask"]
        mask = None if mask is None else mask[:, None, None]
        x = self.dropout(self.norm(self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))))
        for layer in self.layers:
            x = layer(x, mask)
        return functional.cross_entropy(self.head(self.head_dropout(x[:, 0])), batch["label"])


class GPT(nn.Module):
    """nanoGPT's model without biases: https://github.com/karpathy/nanoGPT/blob/master/model.py"""

    def __init__(self, vocab_size: int, length: int, dim: int, num_heads: int, num_layers: int, dropout: float):
        super().__init__()
        self.tokens, self.positions, self.dropout = nn.Embedding(vocab_size, dim), nn.Embedding(length, dim), nn.Dropout(dropout)
        self.attentions = nn.ModuleList(Attention(dim, num_heads, dropout, bias=False) for _ in range(num_layers))
        gelu = nn.GELU(approximate="tanh")
        self.feed_forwards = nn.ModuleList(FeedForward(dim, gelu, bias=False) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim, bias=False) for _ in range(2 * num_layers + 1))

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        x = self.dropout(self.tokens(batch["ids"]) + self.positions(torch.arange(batch["ids"].shape[1])))
        for number, (attention, feed_forward) in enumerate(zip(self.attentions, self.feed_forwards, strict=True)):
            x = x + self.dropout(attention(self.norms[2 * number](x), causal=True))
            x = x + self.dropout(feed_forward(self.norms[2 * number + 1](x)))
        logits = functional.linear(self.norms[-1](x), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-100)


class Translator(nn.Module):
    """The encoder-decoder of Vaswani et al. 2017, with one vocabulary and label smoothing."""

    def __init__(self, vocab_size: int, length: int, dim: int, num_heads: int, num_layers: int, dropout: float):
        super().__init__()
        self.tokens, self.dropout, self.scale = nn.Embedding(vocab_size, dim), nn.Dropout(dropout), math.sqrt(dim)
        angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, dim, 2) / dim)
        self.register_buffer("positions", torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1), persistent=False)
        self.encoder = nn.ModuleList(PostNormLayer(dim, num_heads, dropout, functional.relu) for _ in range(num_layers))
        self.decoder = nn.ModuleList(PostNormLayer(dim, num_heads, dropout, functional.relu, cross=True) for _ in range(num_layers))

    def embed(self, ids: Tensor) -> Tensor:
        return self.dropout(self.tokens(ids) * self.scale + self.positions[: ids.shape[1]])

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        mask = batch["source_padding_mask"]
        mask = None if mask is None else mask[:, None, None]
        memory, x = self.embed(batch["source"]), self.embed(batch["target"])
        for layer in self.encoder:
            memory = layer(memory, mask)
        for layer in self.decoder:
            x = layer(x, memory=memory, memory_mask=mask)
        logits = functional.linear(x, self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100, label_smoothing=0.1)


class Loop:
    """The training loop, a step at a time. precision: torch.bfloat16 = mixed."""

    def __init__(self, model: nn.Module, lr: float, clip: float, precision: torch.dtype = torch.float32):
        self.model, self.clip, self.precision = model.train(), clip, precision
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
        decayed = [p for p in model.parameters() if p.ndim > 1]
        kept = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": kept, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / 100))

    def step(self, batch: Mapping[str, Any]) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
            loss = self.model(batch)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.schedule.step()
