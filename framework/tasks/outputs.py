"""What one model can learn of another: how sure it was of every answer to every target, and what it saw.

Shapes: M states, N targets, D model width, C answers.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class DistillationOutputs:
    """hidden (M, D): the states that targets were told from. logits (N, C): the score of every answer to each target.

    N is a multiple of M: several targets may be told from one state (any number of labels for a text), the same number from each.
    """

    hidden: Tensor
    logits: Tensor
