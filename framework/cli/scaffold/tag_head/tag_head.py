"""A tagging head for rare tags."""

from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from framework import Part, register

SoftmaxTagHead: Any = Part("tag_head/softmax").cls  # the class of any option may be the base of another


@register("tag_head")
class SpecimenTagHead(SoftmaxTagHead):
    """Focal loss: words that are tagged rightly and surely count less. Lin et al. 2017, section 3,

    https://arxiv.org/abs/1708.02002

    focus: exponent of the probability that the tag is another; 0 = cross-entropy.
    """

    variant = "focal"
    rules: ClassVar[dict[str, str]] = {"focus >= 0": "focus must not be negative"}
    option_traits: ClassVar = {"training_only": ("focus",)}

    def __init__(self, focus: float = 2.0, **options: Any):
        super().__init__(**options)
        self.focus = focus

    def loss(self, scores: Tensor, tags: Tensor, padding_mask: Tensor) -> Tensor:
        """Loss of tags (B, W), summed over the words of padding_mask (B, W), from scores (B, W, C)."""
        losses = cross_entropy(scores[padding_mask], tags[padding_mask], reduction="none")
        return ((1 - (-losses).exp()) ** self.focus * losses).sum()
