"""Presets are the published models: as many parameters as transformers counts, and a config.json is known by its preset's name."""

from typing import Any

import pytest
import torch

from framework import registry
from framework.config import catalogue
from framework.config.compose import compose
from framework.config.constraints import default_node, explicit
from framework.config.layers import whole_node
from framework.config.presets import node_of
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.folder import family_of
from framework.huggingface.node import model_overrides
from framework.huggingface.writing import find_family

# What the published config.json files say that is not a default of transformers' class.
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
TURC = {"hidden_size": 256, "num_hidden_layers": 2, "intermediate_size": 1024}
ROBERTA = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
STRETCHED = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
LLAMA = {
    "vocab_size": 128256,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "rope_scaling": {**STRETCHED, "factor": 32.0},
    "tie_word_embeddings": True,
}
QWEN = {"max_position_embeddings": 131072, "rope_theta": 1000000.0, "use_sliding_window": False, "tie_word_embeddings": True}
FLAN = {"vocab_size": 32128, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
BART = {"attention_dropout": 0.1, "activation_dropout": 0.1, "vocab_size": 50265}
PEGASUS = {"encoder_layers": 16, "decoder_layers": 16, "attention_dropout": 0.1, "activation_dropout": 0.1}
BASE = {"encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12, "decoder_attention_heads": 12}

PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "bert_base": ("BertConfig", {}),
    "bert_large": ("BertConfig", LARGE),
    "bert_tiny": ("BertConfig", {**TURC, "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512}),
    "bert_mini": ("BertConfig", {**TURC, "num_hidden_layers": 4, "num_attention_heads": 4}),
    "bert_small": ("BertConfig", {"hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048}),
    "minilm_l6": ("BertConfig", {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}),
    "roberta_base": ("RobertaConfig", ROBERTA),
    "roberta_large": ("RobertaConfig", {**ROBERTA, **LARGE}),
    "deberta_v3_base": (
        "DebertaV2Config",
        {
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "relative_attention": True,
            "position_biased_input": False,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "pos_att_type": "p2c|c2p",
            "position_buckets": 256,
        },
    ),
    "electra_small": ("ElectraConfig", {}),
    "distilbert_base": ("DistilBertConfig", {}),
    "albert_base": ("AlbertConfig", {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}),
    "modernbert_base": ("ModernBertConfig", {}),
    "modernbert_large": ("ModernBertConfig", {**LARGE, "num_hidden_layers": 28, "intermediate_size": 2624}),
    "gpt2": ("GPT2Config", {}),
    "gpt2_medium": ("GPT2Config", {"n_embd": 1024, "n_layer": 24, "n_head": 16}),
    "gpt2_large": ("GPT2Config", {"n_embd": 1280, "n_layer": 36, "n_head": 20}),
    "gpt2_xl": ("GPT2Config", {"n_embd": 1600, "n_layer": 48, "n_head": 25}),
    "llama_1b": ("LlamaConfig", {**LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}),
    "llama_3b": (
        "LlamaConfig",
        {**LLAMA, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24},
    ),
    "llama_8b": (
        "LlamaConfig",
        {**LLAMA, "intermediate_size": 14336, "rope_scaling": {**STRETCHED, "factor": 8.0}, "tie_word_embeddings": False},
    ),
    "qwen2_0_5b": (
        "Qwen2Config",
        {
            **QWEN,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
        },
    ),
    "qwen2_1_5b": (
        "Qwen2Config",
        {
            **QWEN,
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
        },
    ),
    "qwen2_7b": (
        "Qwen2Config",
        {
            **QWEN,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "tie_word_embeddings": False,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152064,
        },
    ),
    "qwen3_0_6b": (
        "Qwen3Config",
        {
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "max_position_embeddings": 40960,
            "rope_theta": 1000000.0,
            "tie_word_embeddings": True,
        },
    ),
    "gemma2_2b": ("Gemma2Config", {}),
    "mistral_7b": ("MistralConfig", {"max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}),
    "mixtral_8x7b": ("MixtralConfig", {"max_position_embeddings": 32768}),
    "olmo2_1b": (
        "Olmo2Config",
        {
            "vocab_size": 100352,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 16,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_theta": 500000.0,
        },
    ),
    "gemma3_1b": (
        "Gemma3TextConfig",
        {
            "vocab_size": 262144,
            "hidden_size": 1152,
            "intermediate_size": 6912,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "sliding_window": 512,
            "max_position_embeddings": 32768,
        },
    ),
    "phi3_mini": ("Phi3Config", {"sliding_window": 2047}),
    "gpt_oss_20b": ("GptOssConfig", {"num_hidden_layers": 24, "num_local_experts": 32}),
    "deepseek_v2_lite": (
        "DeepseekV2Config",
        {
            "hidden_size": 2048,
            "intermediate_size": 10944,
            "moe_intermediate_size": 1408,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "q_lora_rank": None,
            "num_experts_per_tok": 6,
            "first_k_dense_replace": 1,
            "max_position_embeddings": 163840,
            "rope_scaling": {
                "type": "yarn",
                "factor": 40,
                "mscale": 0.707,
                "mscale_all_dim": 0.707,
                "beta_fast": 32,
                "beta_slow": 1,
                "original_max_position_embeddings": 4096,
            },
        },
    ),
    "smollm3_3b": ("SmolLM3Config", {"max_position_embeddings": 65536, "rope_theta": 5000000.0, "no_rope_layer_interval": 4}),
    "t5_small": ("T5Config", {}),
    "t5_base": ("T5Config", {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
    "t5_large": ("T5Config", {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16}),
    "flan_t5_small": ("T5Config", {**FLAN, "d_ff": 1024, "num_layers": 8, "num_heads": 6}),
    "flan_t5_base": ("T5Config", {**FLAN, "d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12}),
    "pegasus_large": ("PegasusConfig", {"vocab_size": 96103, "activation_function": "relu", "scale_embedding": True, **PEGASUS}),
    "bart_base": ("BartConfig", {**BART, **BASE, "d_model": 768, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}),
    "bart_large": ("BartConfig", BART),
    "marian": (
        "MarianConfig",
        {
            **BASE,
            "d_model": 512,
            "encoder_ffn_dim": 2048,
            "decoder_ffn_dim": 2048,
            "max_position_embeddings": 512,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "activation_function": "swish",
            "scale_embedding": True,
        },
    ),
}
NAMED = {  # as their papers, cards or files say; bert-base with its pooler
    "bert_tiny": 4_385_920,
    "bert_mini": 11_170_560,
    "bert_small": 28_763_648,
    "bert_base": 109_482_240,
    "bert_large": 335_141_888,
    "minilm_l6": 22_713_216,
    "albert_base": 11_683_584,
    "pegasus_large": 568_699_904,
    "gpt2": 124_439_808,
    "gpt2_medium": 354_823_168,
    "gpt2_large": 774_030_080,
    "gpt2_xl": 1_557_611_200,
    "llama_1b": 1_235_814_400,
    "llama_3b": 3_212_749_824,
    "llama_8b": 8_030_261_248,
    "qwen2_0_5b": 494_032_768,
    "qwen2_7b": 7_615_616_512,
    "qwen3_0_6b": 596_049_920,
    "gemma2_2b": 2_614_341_888,
    "mistral_7b": 7_241_732_096,
    "mixtral_8x7b": 46_702_792_704,
    "olmo2_1b": 1_484_916_736,
    "gemma3_1b": 999_885_952,
    "phi3_mini": 3_821_079_552,
    "gpt_oss_20b": 20_914_757_184,
    "deepseek_v2_lite": 15_706_484_224,
    "smollm3_3b": 3_075_098_624,
    "t5_small": 60_506_624,
    "t5_base": 222_903_552,
    "flan_t5_base": 247_577_856,
}


def config(preset: str) -> Any:
    import transformers

    name, values = PUBLISHED[preset]
    return getattr(transformers, name)(**values)


def size(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize("preset", PUBLISHED)
def test_a_preset_has_as_many_parameters_as_transformers_counts(preset: str) -> None:
    import transformers

    published, known = config(preset), catalogue.load()
    node = whole_node(preset, "model", known)
    encoder = node["part"] == "model/encoder_only"
    auto = "AutoModel" if encoder else "AutoModelForCausalLM" if node["part"] == "model/decoder_only" else "AutoModelForSeq2SeqLM"
    with torch.device("meta"):
        model = registry.build(node, spec=DataSpec(published.vocab_size, node["max_length"]))
        reference = getattr(transformers, auto).from_config(published)
    if encoder:
        model.requires_grad_(True)  # a pooler rests until a task takes it
    counted = size(reference)
    if preset.startswith("flan"):  # transformers 5 ties its output as it is made; the published files have one of their own
        counted += published.vocab_size * published.d_model
    if preset == "marian":  # the bias of the output is a buffer of `transformers`
        counted += published.vocab_size
    assert size(model) == counted == NAMED.get(preset, counted)


@pytest.mark.parametrize("preset", PUBLISHED)
def test_a_published_config_gives_its_preset(preset: str, tmp_path: Any) -> None:
    published = {**PUBLISHED[preset][1], **config(preset).to_dict()}
    family = family_of(published, tmp_path)
    assert model_overrides(family.from_hf(published, ()), catalogue.load()) == [f"model={preset}"]


@pytest.mark.parametrize(
    "model", ["encoder_only", "decoder_only", "encoder_decoder", "modernbert_base", "llama_8b", "t5_base", "bart_base"]
)
def test_any_part_in_a_slot_gives_a_family_or_an_error(model: str) -> None:
    known, written = catalogue.load(), 0
    base = node_of(model, "model", known)
    for slot, entry in known.option(base["part"])["slots"].items():
        for name in known.options[entry["kind"]]:
            node = explicit({**base, slot: default_node(f"{entry['kind']}/{name}", known)}, known)
            try:
                find_family(node, DataSpec(100, node["max_length"], padding=1))
                written += 1
            except UserError as refused:
                assert "no published family" in str(refused)
    assert written or model not in PUBLISHED


def test_older_files_give_the_same_presets(tmp_path: Any) -> None:
    """As they were written before transformers 5: no `rope_parameters`, no `layer_types`, no `scale_decoder_outputs`."""
    for preset in ("llama_1b", "llama_8b", "qwen2_0_5b", "modernbert_base", "t5_base", "flan_t5_base"):
        published = config(preset).to_dict()
        written = {**published, **PUBLISHED[preset][1]}
        for key in ("rope_parameters", "layer_types", "scale_decoder_outputs"):
            written.pop(key, None)
        assert model_overrides(family_of(written, tmp_path).from_hf(written, ()), catalogue.load()) == [f"model={preset}"]


def test_every_preset_of_a_family_is_here() -> None:
    """Whoever adds a published model says what its config.json holds."""
    known = catalogue.load().presets["model"]
    line = (
        "bert_",
        "minilm",
        "roberta",
        "distilbert",
        "albert",
        "modernbert",
        "gpt2",
        "llama",
        "qwen",
        "t5",
        "flan",
        "gemma",
        "electra",
        "deberta",
        "pegasus",
        "mistral",
        "mixtral",
        "olmo",
        "phi",
        "gpt_oss",
        "deepseek",
        "smollm",
        "bart",
    )
    assert {name for name in known if name.startswith((*line, "marian"))} == set(PUBLISHED)


@pytest.mark.parametrize("preset", ["bert_base", "llama_8b", "modernbert_base", "albert_base", "marian", "flan_t5_small"])
def test_a_preset_composes_to_what_its_file_says(preset: str) -> None:
    known = catalogue.load()
    node = whole_node(preset, "model", known)
    tasks = {"encoder_only": "classification", "decoder_only": "completion", "encoder_decoder": "translation"}
    composed = compose([f"task={tasks[node['part'].partition('/')[2]]}", f"model={preset}"]).config["model"]
    assert explicit(composed, known) == node
