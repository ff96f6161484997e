"""DistilBERT."""

from framework.huggingface.families.bert import BertFamily, token_head
from framework.huggingface.family import Family, Head, OptionMap
from framework.huggingface.weight_map import WeightMap
from framework.registry import register


@register("family", "distilbert")
class DistilbertFamily(Family):
    """Sanh et al. 2019, https://arxiv.org/abs/1910.01108"""

    model_type = "distilbert"
    base_prefix = "distilbert"
    base_architecture = "DistilBertModel"
    slots = BertFamily.slots
    fixed = {"epsilon": 1e-12}
    options = [
        OptionMap("dim", "dim"),
        OptionMap("num_heads", "n_heads"),
        OptionMap("num_layers", "n_layers"),
        OptionMap("feed_forward.hidden", "hidden_dim"),
        OptionMap("feed_forward.activation", "activation", "gelu", {"gelu": "gelu", "relu": "relu"}),
        OptionMap("max_length", "max_position_embeddings", 512),
        OptionMap("dropout", "dropout", 0.1),
        OptionMap("attention.weights_dropout", "attention_dropout", 0.1),
        OptionMap("initial_std", "initializer_range", 0.02),
    ]
    constants = {"tie_word_embeddings": True}
    weights = [
        WeightMap("tokens.weight", "embeddings.word_embeddings.weight", aliases=("/vocab_projector.weight",)),
        WeightMap("encoder.position.table.weight", "embeddings.position_embeddings.weight"),
        WeightMap("embeddings.norm.*", "embeddings.LayerNorm.*"),
        WeightMap("encoder.layers.#.attention.query.*", "transformer.layer.#.attention.q_lin.*"),
        WeightMap("encoder.layers.#.attention.key.*", "transformer.layer.#.attention.k_lin.*"),
        WeightMap("encoder.layers.#.attention.value.*", "transformer.layer.#.attention.v_lin.*"),
        WeightMap("encoder.layers.#.attention.output.*", "transformer.layer.#.attention.out_lin.*"),
        WeightMap("encoder.layers.#.block.norms.0.*", "transformer.layer.#.sa_layer_norm.*"),
        WeightMap("encoder.layers.#.feed_forward.input.*", "transformer.layer.#.ffn.lin1.*"),
        WeightMap("encoder.layers.#.feed_forward.output.*", "transformer.layer.#.ffn.lin2.*"),
        WeightMap("encoder.layers.#.block.norms.1.*", "transformer.layer.#.output_layer_norm.*"),
    ]
    task_heads = {
        "fill-mask": Head(
            "DistilBertForMaskedLM",
            (
                WeightMap("head.transform.*", "vocab_transform.*"),
                WeightMap("head.norm.*", "vocab_layer_norm.*"),
                WeightMap("head.bias", "vocab_projector.bias"),
            ),
        ),
        "text-classification": Head(
            "DistilBertForSequenceClassification",
            (WeightMap("head.dense.*", "pre_classifier.*"), WeightMap("head.output.*", "classifier.*")),
            variant="first, dense relu",
        ),
        "token-classification": token_head("DistilBertForTokenClassification"),
    }
