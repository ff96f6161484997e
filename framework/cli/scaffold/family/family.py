"""A published family."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from framework import Part, register

RobertaFamily: Any = Part("family/roberta").cls  # the class of any option may be the base of another


@register("family")
class SpecimenFamily(RobertaFamily):
    """RoBERTa's layout under another name, as CamemBERT's and XLM-R's files have it. Conneau et al. 2020,

    https://arxiv.org/abs/1911.02116
    """

    model_type = "specimen"  # of config.json
    base_prefix = "specimen"  # of weight names, in classes with a head
    base_architecture = "SpecimenModel"
    task_heads: ClassVar[Mapping[str, Any]] = {
        task: replace(head, architecture=f"Specimen{head.architecture.removeprefix('Roberta')}")
        for task, head in RobertaFamily.task_heads.items()
    }
