"""ModernBERT."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from framework.errors import UserError
from framework.huggingface.family import ACTIVATIONS, Config, Family, Head, Option, Parts, layer
from framework.huggingface.table import Row
from framework.registry import register

if TYPE_CHECKING:
    from framework.data.spec import DataSpec

_KINDS = {True: "full_attention", False: "sliding_attention"}  # a layer sees everything, or what is near


@register("family", "modernbert")
class ModernbertFamily(Family):
    """Warner et al. 2024, https://arxiv.org/abs/2412.13663

    Most layers see what is near, and turn by a base of their own; the embeddings are normed, so the first layer begins without a norm.
    """

    type = "modernbert"
    base = "model"
    bare = "ModernBertModel"
    chosen: ClassVar[Mapping[str, str]] = {
        "": "encoder_only",
        "attention": "multi_head",
        "position": "rotary",
        "feed_forward": "gated",
        "norm": "layer",
        "block": "pre_norm",
        "embedding_norm": "layer",
        "encoder": "standard",
    }
    fixed: ClassVar[Mapping[str, Any]] = {"bias": False, "block.first_norm": False}
    options: ClassVar[Sequence[Option]] = (
        Option("dim", "hidden_size"),
        Option("num_heads", "num_attention_heads"),
        Option("num_layers", "num_hidden_layers"),
        Option("feed_forward.hidden", "intermediate_size"),
        Option("feed_forward.activation", "hidden_activation", "gelu", ACTIVATIONS),
        Option("feed_forward.inner_dropout", "mlp_dropout", 0.0),
        Option("max_length", "max_position_embeddings", 8192),
        Option("epsilon", "norm_eps", 1e-5),
        Option("dropout", "embedding_dropout", 0.0),
        Option("attention.weights_dropout", "attention_dropout", 0.0),
        Option("initial_std", "initializer_range", 0.02),
    )
    constants: ClassVar[Mapping[str, Any]] = {
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
        "tie_word_embeddings": True,
    }
    rows: ClassVar[Sequence[Row]] = (
        Row("tokens.weight", "embeddings.tok_embeddings.weight", copies=("/decoder.weight",)),
        Row("embeddings.norm.*", "embeddings.norm.*"),
        Row(
            ("encoder.layers.#.attention.query.*", "encoder.layers.#.attention.key.*", "encoder.layers.#.attention.value.*"),
            "layers.#.attn.Wqkv.*",
        ),
        Row(("encoder.layers.#.feed_forward.gate.*", "encoder.layers.#.feed_forward.input.*"), "layers.#.mlp.Wi.*"),
        *layer(
            "encoder.layers.#",
            "layers.#",
            {
                "block.norms.0.*": "attn_norm.*",
                "attention.output.*": "attn.Wo.*",
                "block.norms.1.*": "mlp_norm.*",
                "feed_forward.output.*": "mlp.Wo.*",
            },
        ),
        Row("encoder.final_norm.*", "final_norm.*"),
    )
    task_heads: ClassVar[Mapping[str, Head]] = {
        "fill-mask": Head(
            "ModernBertForMaskedLM",
            (Row("head.transform.*", "head.dense.*"), Row("head.norm.*", "head.norm.*"), Row("head.bias", "decoder.bias")),
        ),
    }

    def ours(self, config: Mapping[str, Any], names: Collection[str]) -> Parts:
        parts = super().ours(config, names)
        bases = {}
        for kind, old, usual in (("full_attention", "global_rope_theta", 160000.0), ("sliding_attention", "local_rope_theta", 10000.0)):
            told = (config.get("rope_parameters") or {}).get(kind) or {}
            rotation = told.get("rope_type", "default")
            if rotation != "default" or config.get("rope_scaling"):
                raise UserError(f"config.json has rope_type={rotation!r} in {kind}, and {self.type} is read with 'default' alone")
            bases[kind] = told.get("rope_theta", config.get(old, usual))
        own = {"position.base": bases["full_attention"], "position.local_base": bases["sliding_attention"]}
        return Parts(parts.chosen, {**parts.values, **own, **_windows(config)})

    def theirs(self, node: Mapping[str, Any], spec: "DataSpec") -> Config:
        position, encoder, num_layers = node["position"], node["encoder"], node["num_layers"]
        base, local = position.get("base", 10000.0), position.get("local_base")
        bases = (base, base if local is None else local)
        window, every = encoder["window"], encoder["full_attention_every"]
        windows = window if isinstance(window, list) else [None if every and layer % every == 0 else window for layer in range(num_layers)]
        width = next((width for width in windows if width is not None), 65)
        if any(other not in (None, width) for other in windows):
            raise UserError(f"{self.type} has one width of window, and model.encoder.window has several: {windows}")
        return {
            **super().theirs(node, spec),
            "local_attention": 2 * (width - 1),
            "layer_types": [_KINDS[window is None] for window in windows],
            "rope_parameters": {
                kind: {"rope_type": "default", "rope_theta": base} for kind, base in zip(_KINDS.values(), bases, strict=True)
            },
            **({"global_attn_every_n_layers": every} if every else {}),
            "global_rope_theta": bases[0],
            "local_rope_theta": bases[1],
        }


def _windows(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the layers see. Theirs counts to both sides of a token; ours is what is nearer than so many tokens."""
    num_layers, every = config["num_hidden_layers"], config.get("global_attn_every_n_layers", 3)
    far = [kind == _KINDS[True] for kind in config.get("layer_types") or ()] or [layer % every == 0 for layer in range(num_layers)]
    window = config.get("local_attention", 128) // 2 + 1
    for every in range(1, num_layers + 1):
        if far == [layer % every == 0 for layer in range(num_layers)]:
            return {"encoder.window": window, "encoder.full_attention_every": every}
    return {"encoder.window": [None if everything else window for everything in far], "encoder.full_attention_every": None}
