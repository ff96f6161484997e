"""The tokenizer of a run that starts from a pretrained model or uses a frozen one is theirs: weights are bound to token ids."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from framework.config import catalogue as index
from framework.config.constraints import default_node
from framework.errors import UserError
from framework.pretrained.frozen import FrozenModel
from framework.pretrained.overrides import tokenizer_overrides
from framework.pretrained.source import PretrainedSource, PublishedSource
from framework.registry import build

PRETRAINED = "tokenizer/pretrained"
_FREE = "tokenizer.additional_special_tokens="  # the one option that may be typed beside model.pretrained: tables of embeddings can grow


def with_tokenizer(
    config: Mapping[str, Any], overrides: Sequence[str], pretrained: PretrainedSource | None, frozen: Sequence[FrozenModel]
) -> dict[str, Any]:
    """The config with the tokenizer of the pretrained model, or else of the frozen ones; a task's or an experiment's gives way.

    UserError: another tokenizer was typed, or the models have different ones.
    """
    if pretrained is not None:
        _refuse_typed(overrides, "model.pretrained", pretrained, (*tokenizer_overrides(pretrained),), (_FREE,))
        node = config["tokenizer"] if config["tokenizer"]["part"] == PRETRAINED else default_node(PRETRAINED, index.load())
        config = {**config, "tokenizer": {**node, **pretrained.tokenizer}}
        if isinstance(pretrained, PublishedSource):  # a run's own files are compared when they are read
            from framework.data.tokenization.layouts import check_ids  # with the package tokenizers, which a mistake does not wait for

            own = build({**default_node(PRETRAINED, index.load()), **pretrained.tokenizer, "vocab_size": None}).train(tuple)
            check_ids(own, pretrained.spec.vocab_size, f"the tokenizer and the weights of {pretrained.name}")
    owner = None if pretrained is None else f"model.pretrained={pretrained.name}"
    for model in frozen:
        node = {**default_node(PRETRAINED, index.load()), **model.source.tokenizer}
        if owner is None:
            _refuse_typed(overrides, model.option, model.source)
            owner, config = str(model), {**config, "tokenizer": node}
        elif len({build(tokenizer).train(tuple).to_json() for tokenizer in (config["tokenizer"], node)}) > 1:
            raise UserError(f"{owner} and {model} have different tokenizers; their token ids must agree")
    return dict(config)


def _refuse_typed(
    overrides: Sequence[str], option: str, source: PretrainedSource, equal: Sequence[str] = (), free: tuple[str, ...] = ()
) -> None:
    for word in overrides:
        if re.match(r"\+*tokenizer[=./@]", word) and word not in equal and not word.lstrip("+").startswith(free):
            raise UserError(f"{word}: with {option} the tokenizer is that of {source.name}, whose weights belong to its ids; leave it out")
