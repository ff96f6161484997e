"""No places."""

from framework.parts.positions.base import Position
from framework.registry import register


@register("position", "none")
class NoPosition(Position):
    """Tells nothing of places; a causal stack counts them by itself. Kazemnejad et al. 2023, section 4, https://arxiv.org/abs/2305.19466"""
