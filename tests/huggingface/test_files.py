"""Layouts of published files: shards, old names, copies, pickles that are asked for, and configs that are refused."""

import io
import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from framework.errors import UserError
from framework.huggingface.files import PICKLED, SAFETENSORS
from framework.huggingface.folder import PublishedModel, load_model
from tests.huggingface.toy_models import DECODERS, ENCODERS, PAIRS, as_in_files, load, texts
from tests.precision import close, in_double


@pytest.fixture
def folder(saved: Any, tmp_path: Path) -> Path:
    """A folder with a BERT and its head, to change."""
    shutil.copytree(saved("bert")[1], tmp_path / "bert")
    return tmp_path / "bert"


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / SAFETENSORS)


def write(folder: Path, state: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / SAFETENSORS, {"format": "pt"})


def scores(path: Path, dtype: torch.dtype = torch.float64) -> Tensor:
    task, _ = load(path, dtype)
    ids, padding_mask = texts()
    with torch.no_grad():
        return task.logits(task.model(ids, padding_mask))[padding_mask]


@pytest.fixture
def wanted(saved: Any) -> Tensor:
    reference, _ = saved("bert")
    ids, padding_mask = texts()
    with torch.no_grad():
        return in_double(reference)(input_ids=ids, attention_mask=padding_mask.long()).logits[padding_mask]


def same(path: Path, wanted: Tensor) -> None:
    close(scores(path), wanted)


def test_shards(saved: Any, tmp_path: Path, wanted: Tensor) -> None:
    saved("bert")[0].save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 3 and not (tmp_path / SAFETENSORS).exists()
    same(tmp_path, wanted)


def test_a_pickle_is_read_where_it_is_named(folder: Path, wanted: Tensor) -> None:
    torch.save(weights(folder), folder / PICKLED)
    (folder / SAFETENSORS).unlink()
    same(folder / PICKLED, wanted)
    with pytest.raises(UserError, match=rf"in {PICKLED}.*model.pretrained={folder / PICKLED}"):
        load(folder)


def old_layout(folder: Path, state: Mapping[str, Any]) -> Path:
    """The file that torch before 1.6 wrote, beside config.json alone."""
    torch.save(state, folder / PICKLED, _use_new_zipfile_serialization=False)
    (folder / SAFETENSORS).unlink(missing_ok=True)
    return folder / PICKLED


@pytest.mark.parametrize("name", [*ENCODERS, *DECODERS, *PAIRS])
def test_every_family_is_read_from_the_layout_of_torch_before_1_6(name: str, saved: Any, tmp_path: Path) -> None:
    theirs, source = saved(name)
    shutil.copytree(source, tmp_path / "old")
    state = as_in_files(theirs, theirs.state_dict())
    path = old_layout(tmp_path / "old", state)
    assert path.read_bytes()[:2] != b"PK"
    published = PublishedModel.open(path)
    assert all(torch.equal(published.files.tensor(key), state[key]) for key in published.files.shapes)
    tied = [key for key in state if key not in published.files.shapes]
    assert all(any(state[key] is not other and state[key].data_ptr() == other.data_ptr() for other in state.values()) for key in tied)
    ours, now = load(path)[0].state_dict(), load(source)[0].state_dict()
    assert ours.keys() == now.keys() and all(torch.equal(ours[key], now[key]) for key in ours)


class Hostile:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("where", ["a value", "the header"])
def test_the_old_layout_runs_no_code(where: str, folder: Path, tmp_path: Path) -> None:
    path = old_layout(folder, weights(folder) | {"hostile": Hostile(tmp_path / "ran")})
    if where == "the header":
        parts = io.BytesIO(path.read_bytes())
        first = pickle.dumps(pickle.load(parts), protocol=2)  # noqa: S301 - a number
        path.write_bytes(first + pickle.dumps(Hostile(tmp_path / "ran"), protocol=2) + parts.read())
    with pytest.raises(UserError, match=f"{path} was not loaded.*might run code"):
        PublishedModel.open(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_file_of_the_old_layout(share: float, folder: Path) -> None:
    path = old_layout(folder, weights(folder))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=f"{path} (is truncated or damaged|was not loaded: it is damaged)"):
        PublishedModel.open(path)


@pytest.mark.parametrize("name", [*ENCODERS, *DECODERS, *PAIRS])
@pytest.mark.parametrize("named", [True, False], ids=["class", "no class"])
def test_a_missing_model_type_is_deduced_or_asked_for(name: str, named: bool, saved: Any, tmp_path: Path) -> None:
    theirs, source = saved(name)
    shutil.copytree(source, tmp_path / "changed")
    path = tmp_path / "changed" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: config[key] for key in config if key != "model_type" and (named or key != "architectures")}))
    if named or config["model_type"] in (
        "bert",
        "roberta",
        "xlm-roberta",
        "electra",
        "deberta-v2",
        "distilbert",
        "albert",
        "gpt2",
        "modernbert",
    ):
        deduced = PublishedModel.open(tmp_path / "changed").family.model_type
        assert deduced == (config["model_type"] if named else config["model_type"].removeprefix("xlm-"))
        return
    with pytest.raises(UserError, match=f'{path} has no model_type.*\n.*"{config["model_type"]}"') as refused:
        PublishedModel.open(tmp_path / "changed")
    assert '"model_type": ' in str(refused.value) and len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("architectures", [["BertForPreTraining"], None])
def test_a_bert_for_pretraining_brings_its_masked_language_head(architectures: Any, saved: Any, tmp_path: Path) -> None:
    import transformers

    theirs = transformers.BertForPreTraining(saved("bert")[0].config).eval()
    theirs.save_pretrained(tmp_path)
    damage(tmp_path, architectures=architectures)
    published = PublishedModel.open(tmp_path)
    assert published.hf_task == "fill-mask"
    task, _ = load(tmp_path, torch.float64, unexpected=["cls.seq_relationship.bias", "cls.seq_relationship.weight"])
    ids, padding_mask = texts()
    with torch.no_grad():
        wanted = in_double(theirs)(input_ids=ids, attention_mask=padding_mask.long()).prediction_logits[padding_mask]
        close(task.logits(task.model(ids, padding_mask))[padding_mask], wanted)


def test_names_of_tensorflow(folder: Path, wanted: Tensor) -> None:
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    state = weights(folder)
    for now, then in old.items():
        state = {name.replace(now, then): tensor for name, tensor in state.items()}
    assert any(name.endswith("gamma") for name in state)
    write(folder, state)
    same(folder, wanted)


def test_tied_copies_may_be_there(folder: Path, wanted: Tensor) -> None:
    state = weights(folder)
    assert "cls.predictions.decoder.weight" not in state
    copies = {
        "cls.predictions.decoder.weight": state["bert.embeddings.word_embeddings.weight"],
        "cls.predictions.decoder.bias": state["cls.predictions.bias"],
        "bert.embeddings.position_ids": torch.arange(32)[None],
    }
    write(folder, {**state, **copies})
    same(folder, wanted)


def test_a_table_may_be_there_by_its_copy_alone(saved: Any, tmp_path: Path) -> None:
    """BART's old files have the table of each stack, or that of the output, and no `shared`."""
    reference, folder = saved("bart")
    shutil.copytree(folder, tmp_path / "bart")
    state = weights(folder)
    table = state.pop("model.shared.weight")
    for copy in ("model.encoder.embed_tokens.weight", "lm_head.weight"):
        write(tmp_path / "bart", {**state, copy: table})
        assert torch.equal(load_model(tmp_path / "bart").tokens.weight, table)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "albert", "modernbert", "gpt2", "llama", "qwen2", "bart", "marian"])
def test_the_name_of_the_base_may_be_missing(name: str, saved: Any, tmp_path: Path) -> None:
    """A bare model is saved without it; so are the first files of GPT-2, head and all."""
    reference, folder = saved(name)
    reference.base_model.save_pretrained(tmp_path)
    bare, whole = PublishedModel.open(tmp_path), load(folder)[0].model
    assert bare.hf_task is None and bare.unexpected == []
    assert not any(shape.startswith(f"{bare.family.base_prefix}.") for shape in bare.files.shapes)
    state = whole.state_dict()
    if "lm_head.weight" in state:  # one that is not tied stands outside the bare model
        with pytest.raises(UserError, match="has no weights for lm_head.weight$"):
            load_model(tmp_path)
    else:
        assert all(torch.equal(tensor, state[key]) for key, tensor in load_model(tmp_path).state_dict().items())


def test_a_head_without_the_name_of_the_base(saved: Any, tmp_path: Path) -> None:
    reference, folder = saved("gpt2")
    shutil.copytree(folder, tmp_path / "gpt2")
    write(tmp_path / "gpt2", {name.removeprefix("transformer."): tensor for name, tensor in weights(folder).items()})
    task, found = load(tmp_path / "gpt2")
    assert found.hf_task == "text-generation"
    assert torch.equal(task.model.tokens.weight, reference.transformer.wte.weight)


def test_the_mask_of_gpt2s_first_files_is_no_weight(saved: Any, tmp_path: Path) -> None:
    _, folder = saved("gpt2")
    shutil.copytree(folder, tmp_path / "gpt2")
    extra = {"transformer.h.0.attn.bias": torch.ones(1, 1, 32, 32).tril(), "transformer.h.0.attn.masked_bias": torch.tensor(-1e4)}
    write(tmp_path / "gpt2", {**weights(folder), **extra})
    assert PublishedModel.open(tmp_path / "gpt2").unexpected == []


def test_weights_without_a_counterpart_are_unexpected(folder: Path, wanted: Tensor) -> None:
    write(folder, {**weights(folder), "cls.seq_relationship.weight": torch.zeros(2, 16)})
    found = PublishedModel.open(folder)
    assert found.unexpected == ["cls.seq_relationship.weight"]
    assert (found.hf_task, found.vocab_size) == ("fill-mask", 40)


def test_weights_may_be_of_half_precision(folder: Path, wanted: Tensor) -> None:
    write(folder, {name: tensor.bfloat16() for name, tensor in weights(folder).items()})
    assert load_model(folder).tokens.weight.dtype == torch.float32
    torch.testing.assert_close(scores(folder), wanted, rtol=0.1, atol=0.5)


def test_a_pooler_is_there_where_its_weights_are(saved: Any, tmp_path: Path) -> None:
    import transformers

    reference, folder = saved("bert")
    assert PublishedModel.open(folder).node()["pooler"] is False  # BertForMaskedLM has none
    model = transformers.BertModel(reference.config).eval()
    model.save_pretrained(tmp_path)
    own = load_model(tmp_path).double()
    ids, padding_mask = texts()
    with torch.no_grad():
        pooled = in_double(model)(input_ids=ids, attention_mask=padding_mask.long()).pooler_output
        close(own.pooler(own(ids, padding_mask)), pooled)


def test_zeros_that_every_file_of_bart_has_are_no_bias(saved: Any) -> None:
    assert PublishedModel.open(saved("bart")[1]).node()["output_bias"] is False
    assert PublishedModel.open(saved("bart_biased")[1]).node()["output_bias"] is True
    assert "lm_head.bias" not in load_model(saved("marian")[1]).state_dict()


def damage(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        if value is ...:
            del config[key]
        else:
            config[key] = value
    (folder / "config.json").write_text(json.dumps(config))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("bert", {"model_type": "brt"}, r"model_type='brt'.*\(did you mean 'bert'\?\).*: albert, bart, "),
    ("bert", {"hidden_size": ...}, "config.json has no hidden_size.*bert"),
    ("bert", {"is_decoder": True}, "config.json has is_decoder=True.*bert.*is_decoder=False"),
    ("bert", {"hidden_act": "mish"}, "hidden_act='mish'.*: gelu, gelu_new, relu"),
    ("albert", {"num_hidden_groups": 2}, "num_hidden_groups=2.*albert.*num_hidden_groups=1"),
    ("albert", {"embedding_size": 16}, "embedding_size=16 and hidden_size=16.*embedding_size < hidden_size"),
    ("llama", {"mlp_bias": False}, "attention_bias=True and mlp_bias=False.*equal"),
    (
        "llama",
        {"rope_parameters": {"rope_type": "longrope"}},
        "rope_type='longrope'.*: default, linear, llama3, yarn",
    ),
    ("llama", {"rope_parameters": {"rope_type": "llama3"}}, "rope_type='llama3' without factor, low_freq_factor, high_freq_factor"),
    ("llama", {"partial_rotary_factor": 0.5, "rope_parameters": {}}, "partial_rotary_factor=0.5.* 1.0"),
    ("deberta_v2", {"pos_att_type": "c2p"}, "pos_att_type='c2p'.*p2c and c2p"),
    ("deberta_v2", {"share_att_key": ...}, "share_att_key=False"),
    ("phi3", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_type='yarn'.*longrope"),
    ("deepseek_v2", {"topk_method": "group_limited_greedy"}, "topk_method='group_limited_greedy'.*'greedy'"),
    ("deepseek_v2", {"v_head_dim": 8}, "v_head_dim=8 and qk_nope_head_dim=6"),
    ("deepseek_v2", {"n_routed_experts": 5}, "n_routed_experts=5.* of 4 experts"),
    ("gpt_oss", {"num_local_experts": 5}, "no weight of a gpt_oss model"),
    ("gpt_oss", {"swiglu_alpha": 1.0}, "swiglu_alpha=1.0"),
    ("mixtral", {"quantization_config": {"quant_method": "mxfp4"}}, "quantization_config"),
    ("qwen2", {"use_sliding_window": True}, "use_sliding_window=True.*qwen2.*use_sliding_window=False"),
    ("gemma2", {"layer_types": ["full_attention"]}, "1 layer_types for 3 layers"),
    ("smollm3", {"no_rope_layers": [1]}, "1 no_rope_layers for 3 layers"),
    ("modernbert", {"global_attn_every_n_layers": 0, "layer_types": None}, "global_attn_every_n_layers=0"),
    ("modernbert", {"norm_bias": True}, "norm_bias=True.*modernbert.*norm_bias=False"),
    (
        "modernbert",
        {"rope_parameters": {"sliding_attention": {"rope_type": "linear"}}},
        "rope_type='linear' in sliding_attention.*'default'",
    ),
    ("marian", {"share_encoder_decoder_embeddings": False}, "marian.*share_encoder_decoder_embeddings=True"),
    ("bart", {"static_position_embeddings": True}, "bart.*static_position_embeddings=False"),
]


@pytest.mark.parametrize(("name", "changes", "reason"), REFUSED, ids=lambda value: next(iter(value)) if isinstance(value, dict) else None)
def test_an_unsupported_config_is_refused(name: str, changes: dict[str, Any], reason: str, saved: Any, tmp_path: Path) -> None:
    shutil.copytree(saved(name)[1], tmp_path / "changed")
    damage(tmp_path / "changed", **changes)
    with pytest.raises(UserError, match=reason) as refused:
        PublishedModel.open(tmp_path / "changed")
    assert str(tmp_path / "changed") in str(refused.value)


def test_missing_weights_are_named(folder: Path) -> None:
    write(folder, {name: tensor for name, tensor in weights(folder).items() if ".layer.1." not in name})
    with pytest.raises(UserError, match=r"has no weights for encoder.layers.1\S+, encoder.layers.1\S+, encoder.layers.1\S+ and 13 more"):
        load_model(folder)
