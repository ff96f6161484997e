"""Classifier heads: from the pooled state of a text to scores. Context arguments: dim, outputs, dropout."""

from torch import Tensor, nn

from framework import ACTIVATIONS, Activation, Dropout, register


@register("classifier", "linear")
class LinearClassifier(nn.Linear):
    """A linear layer. Devlin et al. 2019, section 4.1, https://arxiv.org/abs/1810.04805

    bias: whether the layer has a bias.
    """

    def __init__(self, dim: int, outputs: int, bias: bool = True):
        super().__init__(dim, outputs, bias=bias)
        self.variant = "linear" if bias else "linear without bias"


@register("classifier", "dense")
class DenseClassifier(nn.Module):
    """A hidden layer as wide as the model, then a linear layer. As in https://github.com/facebookresearch/fairseq/blob/main/fairseq/models/roberta/model.py
    (RobertaClassificationHead): Liu et al. 2019, https://arxiv.org/abs/1907.11692

    activation: of the hidden layer (RoBERTa: tanh, DistilBERT: relu).
    """

    def __init__(self, dim: int, outputs: int, dropout: float, activation: Activation = "tanh"):
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(dim, outputs)
        self.variant = f"dense {activation}"

    def forward(self, x: Tensor) -> Tensor:
        """x (B, D) -> (B, C)."""
        return self.output(self.dropout(self.activation(self.dense(x))))
