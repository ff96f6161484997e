"""What a person would write by hand: a Transformer encoder that classifies, and its training step. Imports nothing of ours."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layer(nn.Module):
    def __init__(self, dim: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.rate = num_heads, dropout
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.input, self.output = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.norm_1, self.norm_2, self.dropout = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        seen = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.rate if self.training else 0.0)
        x = self.norm_1(x + self.dropout(self.out(seen.transpose(1, 2).flatten(2))))
        return self.norm_2(x + self.dropout(self.output(functional.gelu(self.input(x)))))


class Classifier(nn.Module):
    def __init__(self, vocab_size: int, labels: int, length: int, dim: int, num_heads: int, num_layers: int, dropout: float):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, dim), nn.Embedding(length, dim)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(dim, num_heads, dropout) for _ in range(num_layers))
        self.head_dropout, self.head = nn.Dropout(dropout), nn.Linear(dim, labels)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.head_dropout(x[:, 0]))


class Loop:
    """The training loop, a step at a time."""

    def __init__(self, model: nn.Module, lr: float, clip: float):
        self.model, self.clip = model.train(), clip
        decayed = [p for p in model.parameters() if p.ndim > 1]
        kept = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": kept, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / 100))

    def step(self, ids: Tensor, labels: Tensor) -> None:
        loss = functional.cross_entropy(self.model(ids), labels)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.schedule.step()
