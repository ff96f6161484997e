"""No position encoding."""

from framework.parts.positions.base import Position
from framework.registry import register


@register("position", "none")
class NoPosition(Position):
    """No position encoding; a causal stack can infer positions from its mask. Kazemnejad et al. 2023, section 4, https://arxiv.org/abs/2305.19466"""
