"""Small transformers models, one or two of each family, and the same weights in a task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framework.data.spec import DataSpec
from framework.huggingface.folder import PublishedModel, copy_weights
from framework.registry import as_part
from plugins.pretraining.masked import MaskedFormat
from plugins.pretraining.task import PretrainingTask

VOCABULARY, PADDING, END = 40, 1, 2
BERT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 40, "max_position_embeddings": 32}
LLAMA = {**BERT, "num_attention_heads": 4, "num_key_value_heads": 2}
T5 = {
    "d_model": 16,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
}
BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 32,
    "forced_eos_token_id": None,  # else `generate` ends every text in its last place, probable or not
}
STRETCHED = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "beta_slow": 1.0, "beta_fast": 8.0, "original_max_position_embeddings": 16}


@dataclass(frozen=True)
class Toy:
    """config: name of the config class. kind: of the Auto class. values: arguments of the config."""

    config: str
    kind: str
    values: dict[str, Any] = field(default_factory=dict)


ENCODERS = {
    "bert": Toy("BertConfig", "MaskedLM", BERT),
    "bert_relu": Toy("BertConfig", "MaskedLM", {**BERT, "hidden_act": "relu", "type_vocab_size": 3}),
    "roberta": Toy("RobertaConfig", "MaskedLM", BERT),
    "distilbert": Toy(
        "DistilBertConfig", "MaskedLM", {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 40, "max_position_embeddings": 32}
    ),
    "albert": Toy("AlbertConfig", "MaskedLM", {**BERT, "embedding_size": 6}),
    "xlm_roberta": Toy("XLMRobertaConfig", "MaskedLM", {**BERT, "num_hidden_layers": 2}),
    "deberta_v2": Toy(
        "DebertaV2Config",
        "MaskedLM",
        {
            **BERT,
            "num_hidden_layers": 2,
            "type_vocab_size": 0,
            "relative_attention": True,
            "position_biased_input": False,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 6,
            "max_relative_positions": 16,
        },
    ),
    "electra": Toy("ElectraConfig", "MaskedLM", {**BERT, "num_hidden_layers": 2, "embedding_size": 6}),
    "modernbert": Toy("ModernBertConfig", "MaskedLM", {**BERT, "num_hidden_layers": 4, "local_attention": 8}),
    "modernbert_odd": Toy(
        "ModernBertConfig",
        "MaskedLM",
        {**BERT, "local_attention": 6, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
}
DECODERS = {
    "gpt2": Toy("GPT2Config", "CausalLM", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "llama": Toy("LlamaConfig", "CausalLM", {**LLAMA, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    "llama_3": Toy("LlamaConfig", "CausalLM", {**LLAMA, "head_dim": 8, "rope_parameters": STRETCHED}),
    "qwen2": Toy("Qwen2Config", "CausalLM", LLAMA),
    "qwen3": Toy("Qwen3Config", "CausalLM", {**LLAMA, "head_dim": 6}),
    "gemma2": Toy(
        "Gemma2Config",
        "CausalLM",
        {
            **LLAMA,
            "head_dim": 6,
            "sliding_window": 5,
            "query_pre_attn_scalar": 9,
            "attn_logit_softcapping": 4.0,
            "final_logit_softcapping": 3.0,
            "_attn_implementation": "eager",
        },
    ),
    "mistral": Toy("MistralConfig", "CausalLM", {**LLAMA, "sliding_window": 5}),
    "mixtral": Toy("MixtralConfig", "CausalLM", {**LLAMA, "num_hidden_layers": 2, "num_local_experts": 4, "sliding_window": 5}),
    "olmo2": Toy("Olmo2Config", "CausalLM", {**LLAMA, "num_hidden_layers": 2}),
    "gemma3_text": Toy(
        "Gemma3TextConfig",
        "CausalLM",
        {
            **LLAMA,
            "num_hidden_layers": 2,
            "head_dim": 6,
            "sliding_window": 5,
            "query_pre_attn_scalar": 9,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            },
        },
    ),
    "gpt_oss": Toy(
        "GptOssConfig",
        "CausalLM",
        {
            **LLAMA,
            "num_hidden_layers": 2,
            "head_dim": 6,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 5,
            "swiglu_limit": 0.7,
            "rope_parameters": {**YARN, "truncate": False},
            "_attn_implementation": "eager",
        },
    ),
    "deepseek_v2": Toy(
        "DeepseekV2Config",
        "CausalLM",
        {
            **LLAMA,
            "num_hidden_layers": 2,
            "num_key_value_heads": 4,
            "kv_lora_rank": 8,
            "q_lora_rank": 10,
            "qk_nope_head_dim": 6,
            "v_head_dim": 6,
            "qk_rope_head_dim": 4,
            "n_routed_experts": 4,
            "n_shared_experts": 2,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 8,
            "first_k_dense_replace": 1,
            "rope_parameters": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.7},
        },
    ),
    "phi3": Toy("Phi3Config", "CausalLM", {**LLAMA, "num_hidden_layers": 2, "sliding_window": 5, "partial_rotary_factor": 0.5}),
    "smollm3": Toy("SmolLM3Config", "CausalLM", {**LLAMA, "num_hidden_layers": 3, "no_rope_layer_interval": 2}),
}
PAIRS = {
    "t5": Toy("T5Config", "Seq2SeqLM", {**T5, "d_kv": 4}),
    "t5_1_1": Toy("T5Config", "Seq2SeqLM", {**T5, "d_kv": 8, "feed_forward_proj": "gated-gelu"}),
    "flan_t5": Toy("T5Config", "Seq2SeqLM", {**T5, "d_kv": 8, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": Toy("MT5Config", "Seq2SeqLM", {**T5, "d_kv": 4}),
    "pegasus": Toy("PegasusConfig", "Seq2SeqLM", {**BART, "scale_embedding": True}),
    "bart": Toy("BartConfig", "Seq2SeqLM", BART),
    "bart_biased": Toy("BartConfig", "Seq2SeqLM", {**BART, "scale_embedding": True}),
    "marian": Toy(
        "MarianConfig", "Seq2SeqLM", {**BART, "activation_function": "swish", "scale_embedding": True, "decoder_start_token_id": PADDING}
    ),
}
TOYS = {**ENCODERS, **DECODERS, **PAIRS}


def make(name: str, std: float) -> Any:
    """A transformers model in evaluation mode with random weights: matrices of this standard deviation, gains around 1, biases around 0."""
    import transformers

    toy = TOYS[name]
    special = {"vocab_size": VOCABULARY, "pad_token_id": PADDING, "eos_token_id": END, "bos_token_id": 0}
    start = {"decoder_start_token_id": 0} if toy.kind == "Seq2SeqLM" else {}
    config = getattr(transformers, toy.config)(**{**special, **start, **toy.values})
    torch.manual_seed(0)
    model = getattr(transformers, f"AutoModelFor{toy.kind}").from_config(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.normal_(mean=float(key.endswith("weight")), std=0.2)
            elif parameter.requires_grad:  # Marian's sinusoids are no weights
                parameter.normal_(std=std)
        if name == "flan_t5":  # transformers 5 ties its output as it is made; the files have one of their own
            model.lm_head.weight = nn.Parameter(std * torch.randn_like(model.lm_head.weight))
        if name == "bart_biased":
            model.final_logits_bias.normal_()
    return model.eval()


def load(folder: Path, dtype: torch.dtype = torch.float32, unexpected: Sequence[str] = ()) -> tuple[PretrainingTask, PublishedModel]:
    """A task with all weights of a folder but the unexpected ones, in evaluation mode."""
    found = PublishedModel.open(folder)
    node = found.node()
    task = PretrainingTask(as_part(node), DataSpec(found.vocab_size, node["max_length"], padding=PADDING, end=END), MaskedFormat())
    own = task.state_dict()
    lacking = set(own) - set(found.weights)
    assert not lacking, lacking
    assert found.unexpected == list(unexpected)
    copy_weights(own, {name: name for name in own}, found.tensors)
    return task.to(dtype).eval(), found


def as_in_files(model: Any, tensors: dict[str, Any]) -> dict[str, Tensor]:
    """Tensors of a transformers model under the names of its files: in memory the experts of a layer are one tensor."""
    from transformers.core_model_loading import revert_weight_conversion

    found: dict[str, Tensor] = revert_weight_conversion(model, tensors)
    return found


def texts(rows: int = 3, length: int = 21, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) and which are tokens (B, T): padded on the right, every row with another length."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (rows, length), generator=generator)
    padding_mask = torch.arange(length) < length - 7 * torch.arange(rows)[:, None]
    return ids.masked_fill(~padding_mask, PADDING), padding_mask
