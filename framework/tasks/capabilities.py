"""Capabilities of tasks: knowledge distillation, a frozen reference, calibration, export. A task inherits the classes of those it has."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from framework.data.formats import Batch
from framework.errors import UserError
from framework.registry import choice
from framework.tasks.base import Result, Task
from framework.tasks.frozen import FrozenTask


@dataclass(frozen=True)
class DistillationOutputs:
    """Outputs that student and teacher compare. Shapes: M hidden states, N targets, D model width, C classes of a target.

    hidden: (M, D). logits: (N, C), whose softmax is the distribution over the classes of each target. N is a multiple of M: several targets
    may share a hidden state (the labels of a multi-label text), each state the same number.

    >>> outputs = DistillationOutputs(hidden=torch.zeros(3, 8), logits=torch.zeros(3, 2))
    >>> outputs.logits.softmax(-1)[0]
    tensor([0.5000, 0.5000])
    """

    hidden: Tensor
    logits: Tensor


class Distillable(Task):
    """A task that can be a student or a teacher in knowledge distillation.

    teacher: a run of the same task, or a published model, to learn from beside the rows; its tokenizer is taken. null = none.
    distillation: the loss that compares student and teacher.

    >>> predictor = load("runs/last")
    >>> isinstance(predictor.task, Distillable), compose(["task=classification"])["task"]["teacher"]
    (True, None)
    """

    framework_options: ClassVar[tuple[str, ...]] = ("teacher", "distillation")
    teacher: ClassVar[str | None] = None
    distillation: ClassVar[Any] = choice("distillation", "standard")
    option_traits: ClassVar = {"may_change": ("teacher",)}  # its folder may move

    def distillation_outputs(self, batch: Batch, result: Result) -> DistillationOutputs:
        """Hidden states and logits of the batch's targets, in order; `result` is what `forward` returned for the batch."""
        raise NotImplementedError


class WithReference(Task):
    """A task whose loss compares its model with a frozen one, the reference: preference optimization, KL penalties.

    reference: a run, of this task or of another one, or a published model, to compare with; its tokenizer is taken. null = none.

    >>> class CautiousTask(WithReference):
    ...     def forward(self, batch):
    ...         hidden = self.model(batch["ids"])
    ...         with self.frozen_reference() as reference:
    ...             penalty = (hidden - reference.model(batch["ids"])).square().sum()  # trains the model alone
    ...         return Result(penalty, batch["ids"].numel(), hidden)
    >>> CautiousTask.reference is None
    True
    """

    framework_options: ClassVar[tuple[str, ...]] = ("reference",)
    reference: ClassVar[str | None] = None
    option_traits: ClassVar = {"may_change": ("reference",)}  # its folder may move
    frozen: FrozenTask | None = None

    @contextmanager
    def frozen_reference(self) -> Iterator[Any]:
        """The whole task of the reference run, on this task's device: in evaluation mode, without gradients, in no checkpoint. UserError:
        there is none."""
        if self.frozen is None:
            raise UserError("this task needs a frozen model to compare with: task.reference=RUN")
        with self.frozen.used_by(self) as reference:
            yield reference


class Calibrated(Task):
    """A task whose probabilities are those of scores divided by a temperature. Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599

    calibrate: whether the temperature is fitted to the validation rows at the end of the training. It changes probabilities alone, neither
        predictions nor the loss; it stands in run.json, and predictions and exports have it.

    >>> task = load("runs/last").task
    >>> isinstance(task, Calibrated), task.temperature
    (True, 1.0)
    """

    framework_options: ClassVar[tuple[str, ...]] = ("calibrate",)
    calibrate: ClassVar[bool] = False
    option_traits: ClassVar = {"may_change": ("calibrate",)}
    temperature: float = 1.0

    def losses_at(self, result: Result, batch: Batch, temperatures: Sequence[float]) -> Tensor:
        """Negative log-likelihoods of the batch's targets, summed, at each of K temperatures: (K,). `result` is what `forward` returned for
        the batch."""
        raise NotImplementedError


@dataclass(frozen=True)
class TokenFeatures:
    """Features of every token beside its id, an input (B, T, count) of an exported program. below: bound of their values.

    >>> TokenFeatures(count=2, below=100)
    TokenFeatures(count=2, below=100)
    """

    count: int
    below: int


class Exportable(Task):
    """A task that can be exported: as a published model class, or as a program (torch.export, ONNX).

    hf_task: its name on the Hugging Face Hub: text-classification, token-classification, fill-mask, text-generation or
        text2text-generation. The generation tasks are exported as their language model; the others by `export_forward`.
    head_variant: the variant of the head; a published class fits a task of the same variant alone (framework/huggingface/families).
    unexportable: why no export computes what this task does, and what to type instead; None: one does.
    export_inputs: names of what `export_forward` reads of a batch: ids, padding_mask, segments.

    >>> task = load("runs/last").task
    >>> isinstance(task, Exportable), task.hf_task, task.hf_config()["id2label"]
    (True, 'text-classification', {0: 'negative', 1: 'positive'})
    """

    hf_task: str
    head_variant: str = ""
    unexportable: str | None = None
    export_inputs: tuple[str, ...] = ("ids", "padding_mask")

    def check_exportable(self) -> None:
        """UserError: no export computes what the task does."""
        if self.unexportable:
            raise UserError(self.unexportable)

    def export_forward(self, batch: Batch) -> Tensor:
        """Scores of the texts (B, C), or of every token (B, T, C). Each input is a (B, T) tensor; padding is on the right."""
        raise NotImplementedError

    def export_features(self) -> TokenFeatures | None:
        """The input `features` of `export_forward`; None: it reads none. `postprocessing` describes how they are computed."""
        return None

    def hf_config(self) -> dict[str, Any]:
        """Entries of the exported config.json, such as `id2label`."""
        return {}

    def postprocessing(self) -> dict[str, Any]:
        """JSON metadata that, with the labels, turns exported scores into predictions."""
        return {}
