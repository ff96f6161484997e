"""Published families as parts: hidden states, scores, losses, gradients and generated texts equal those of transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from framework.config import catalogue
from framework.config.compose import compose
from framework.config.derived_defaults import normalized
from framework.config.quoting import written
from framework.generation.beam import Beam
from framework.generation.engine import Decode, pad_left
from framework.generation.strategy import Greedy
from framework.huggingface.folder import PublishedModel
from framework.huggingface.node import model_node, model_overrides
from framework.huggingface.writing import write
from framework.pretrained.overrides import overrides_from
from framework.pretrained.source import Sources
from framework.tasks.cross_entropy import IGNORED
from tests.huggingface.toy_models import DECODERS, ENCODERS, PADDING, PAIRS, TOYS, VOCABULARY, as_in_files, load, texts
from tests.precision import close, doubles, in_double, rounds_like

NEW = 12  # generated tokens


def same(reference: Any, folder: Path, of_task: Callable[[Any], list[Tensor]], of_model: Callable[[Any], list[Tensor]]) -> None:
    """of_task(task) and of_model(reference) are the same numbers, and in single precision equally close to them."""
    (task, _), model = load(folder, torch.float64), in_double(reference)
    with doubles():
        exact, computed = of_model(model), of_task(task)
    for got, wanted in zip(computed, exact, strict=True):
        close(got, wanted)
    rounds_like(of_task(load(folder)[0]), of_model(reference), exact)


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_an_encoder_gives_the_same_states_and_scores(name: str, saved: Any) -> None:
    reference, folder = saved(name)
    ids, padding_mask = texts()
    kinds = getattr(reference.config, "type_vocab_size", 1)
    segments = torch.randint(kinds, ids.shape) if kinds > 1 else None
    given = {"input_ids": ids, "attention_mask": padding_mask.long(), **({} if segments is None else {"token_type_ids": segments})}

    def of_task(task: Any) -> list[Tensor]:
        states = task.model(ids, padding_mask, segments)
        return [states[padding_mask], task.logits(states)[padding_mask]]

    def of_model(model: Any) -> list[Tensor]:
        return [model.base_model(**given).last_hidden_state[padding_mask], model(**given).logits[padding_mask]]

    same(reference, folder, of_task, of_model)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", DECODERS)
@torch.no_grad()
def test_a_decoder_gives_the_same_states_and_scores(name: str, side: str, saved: Any) -> None:
    reference, folder = saved(name)
    ids, padding_mask = texts() if side == "right" else (each.flip(1) for each in texts())
    given = {"input_ids": ids, "attention_mask": padding_mask.long(), "position_ids": (padding_mask.cumsum(1) - 1).clamp(min=0)}

    def of_task(task: Any) -> list[Tensor]:
        states = task.model(ids, padding_mask)
        return [states[padding_mask], task.logits(states)[padding_mask]]

    def of_model(model: Any) -> list[Tensor]:
        return [model.base_model(**given).last_hidden_state[padding_mask], model(**given).logits[padding_mask]]

    same(reference, folder, of_task, of_model)


@pytest.mark.parametrize("name", PAIRS)
@torch.no_grad()
def test_an_encoder_decoder_gives_the_same_states_and_scores(name: str, saved: Any) -> None:
    reference, folder = saved(name)
    (source, padding_mask), (target, _) = texts(), texts(length=25, seed=1)
    given = {"input_ids": source, "attention_mask": padding_mask.long(), "decoder_input_ids": target}

    def of_task(task: Any) -> list[Tensor]:
        states = task.model(source, target, padding_mask)
        return [task.model.encode(source, padding_mask).hidden_states[padding_mask], states, task.logits(states)]

    def of_model(model: Any) -> list[Tensor]:
        wanted = model(**given, output_hidden_states=True)
        return [wanted.encoder_last_hidden_state[padding_mask], wanted.decoder_hidden_states[-1], wanted.logits]

    same(reference, folder, of_task, of_model)


def batches(name: str, reference: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same batch for a task and for the transformers model; an encoder has targets at every second token."""
    ids, padding_mask = texts()
    labels = ids.masked_fill(~padding_mask, IGNORED)
    given = {"input_ids": ids, "attention_mask": padding_mask.long()}
    if name in ENCODERS:
        labels[:, ::2] = IGNORED
        return {"ids": ids, "padding_mask": padding_mask, "targets": labels}, {**given, "labels": labels}
    if name in DECODERS:  # they look one further by themselves
        following = torch.cat((labels[:, 1:], torch.full_like(labels[:, :1], IGNORED)), dim=1)
        return {"ids": ids, "targets": following}, {**given, "labels": labels}
    written, written_mask = texts(seed=1)
    labels = written.masked_fill(~written_mask, IGNORED)
    start = torch.full_like(written[:, :1], reference.config.decoder_start_token_id)
    target = torch.cat((start, written[:, :-1]), dim=1)
    return {"source": ids, "source_padding_mask": padding_mask, "target": target, "targets": labels}, {**given, "labels": labels}


@pytest.mark.parametrize("name", TOYS)
def test_the_loss_and_its_gradients_are_the_same(name: str, saved: Any) -> None:
    reference, folder = saved(name)
    own, given = batches(name, reference)
    found = load(folder)[1]
    keys: set[str] = set()

    def learned(gradients: dict[str, Tensor]) -> list[Tensor]:
        if name == "marian":  # a text begins with the padding token, whose row of the table `transformers` never moves
            gradients["model.shared.weight"][PADDING] = 0
        return [gradients[key] for key in sorted(keys)]

    def of_task(task: Any) -> list[Tensor]:
        result = task(own)
        (result.loss / result.weight).backward()
        computed = {key: parameter.grad for key, parameter in task.named_parameters() if parameter.grad is not None}
        got = dict(found.family.weight_table(found.hf_task).to_hf(computed))
        got.pop("final_logits_bias", None)  # the bias of `transformers` learns nothing
        assert set(got) == keys
        return [result.loss / result.weight, *learned(got)]

    def of_model(model: Any) -> list[Tensor]:
        model.zero_grad()
        loss = model(**given).loss
        loss.backward()
        names: dict[Any, str] = {}  # of a tied weight that of its file
        for key, each in model.named_parameters(remove_duplicate=False):
            names[each] = key if each not in names or key in found.files.shapes else names[each]
        gradients = as_in_files(model, {key: each.grad for each, key in names.items() if each.grad is not None})
        keys.update(gradients)
        return [loss, *learned(gradients)]

    same(reference, folder, of_task, of_model)


PROMPTS = 50


def prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, 9, (PROMPTS,), generator=generator).tolist()
    return [torch.randint(3, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def cut(ids: list[int], end: int) -> list[int]:
    """The generated tokens, without the end token and padding."""
    return ids[: ids.index(end)] if end in ids else ids


def common(written: list[list[int]]) -> int:
    """The token that as many rows as possible have at a place of its own: some end soon there, some late, some never."""
    return max(range(3, VOCABULARY), key=lambda token: len({row.index(token) for row in written if token in row}))


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("name", [*DECODERS, *PAIRS])
def test_generated_texts_equal_those_of_transformers(name: str, num_beams: int, saved: Any) -> None:
    """In double precision on both sides, so that near ties do not fall otherwise."""
    reference, folder = saved(name, std=1.0)  # else a text is one token over and over
    reference, (task, _) = in_double(reference), load(folder, torch.float64)
    strategy = Greedy() if num_beams == 1 else Beam(num_beams=num_beams, length_penalty=1.0, early_stopping="length_so_far")
    ids, padding_mask = pad_left(prompts(), PADDING)
    start, encoder_output = ids, None
    if name in PAIRS:
        ids, padding_mask = ids.flip(1), padding_mask.flip(1)
        start = torch.full((PROMPTS, 1), reference.config.decoder_start_token_id)
        with torch.no_grad(), doubles():
            encoder_output = task.model.encode(ids, padding_mask)

    def write(end: int | None) -> list[list[int]]:
        written = Decode(strategy, str, end)(
            task.model, start, padding_mask if encoder_output is None else None, encoder_output, longest=NEW
        )
        return [row[0].ids for row in written]

    end = common(write(None))
    options = {"do_sample": False, "num_beams": num_beams, "length_penalty": 1.0, "early_stopping": False, "eos_token_id": end}
    with doubles():
        generated = reference.generate(input_ids=ids, attention_mask=padding_mask.long(), max_new_tokens=NEW, **options)
        got = write(end)
    wanted = generated[:, start.shape[1] :].tolist()
    assert got == [cut(row, end) for row in wanted]
    assert len({len(row) for row in got}) >= 4  # texts end, soon and late


WRITTEN_AS = {"xlm_roberta": "roberta", "mt5": "t5"}  # the same models


@pytest.mark.parametrize("name", TOYS)
@torch.no_grad()
def test_transformers_loads_an_export(name: str, saved: Any, tmp_path: Any) -> None:
    """The exported folder gives the same scores in transformers and in this framework as the original."""
    import transformers

    reference, folder = saved(name)
    task, found = load(folder)
    family = write(tmp_path, found.node(), task.state_dict(), task.spec, task.hf_task)
    assert family.model_type == WRITTEN_AS.get(name, found.family.model_type)
    kernel = {"attn_implementation": reference.config._attn_implementation}
    again = getattr(transformers, f"AutoModelFor{TOYS[name].kind}").from_pretrained(tmp_path, output_loading_info=True, **kernel)
    model, report = again[0].eval(), again[1]
    missing = {key for key in report["missing_keys"] if not (name == "pegasus" and "embed_positions" in key)}  # sinusoids, computed
    assert not missing and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert type(model) is type(reference) or name in WRITTEN_AS
    own, given = batches(name, reference)
    if name in PAIRS:  # where a text begins is the tokenizer's to say
        given["decoder_input_ids"] = own["target"]
    with doubles():
        close(in_double(model)(**given).logits, in_double(reference)(**given).logits)
    one, other = (load(each, torch.float64)[0](own) for each in (tmp_path, folder))
    close(one.loss / one.weight, other.loss / other.weight)


@pytest.mark.parametrize("name", TOYS)
def test_config_and_weight_names_round_trip(name: str, saved: Any) -> None:
    """config.json -> options -> config.json -> options, and weights by their published names."""
    reference, folder = saved(name)
    task, found = load(folder)
    known, node = catalogue.load(), found.node()
    config = found.family.to_hf(node, task.spec)
    parts = found.family.from_hf(config, found.files.shapes)
    parts.values["output_bias"] = node.get("output_bias", False)
    if "output_bias" not in node:
        parts.values.pop("output_bias")
    assert model_node(parts, known) == normalized(node)
    for key, value in config.items():
        if key in reference.config.to_dict() and not key.startswith("rope_") and getattr(reference.config, key) is not None:
            said = getattr(reference.config, key)
            assert ("silu" if said == "swish" else said) == value or key in RENAMED, key
    written = dict(found.family.weight_table(found.hf_task).to_hf(task.state_dict()))
    state = as_in_files(reference, reference.state_dict())
    for key, tensor in written.items():
        assert torch.equal(tensor, state[key]), key
    copies = {key for key, tensor in state.items() if any(tensor.data_ptr() == state[name].data_ptr() for name in written)}
    assert set(state) - copies <= {"final_logits_bias", *(f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder"))}


LIKE_ANOTHER = {"bert", "bert_relu", "roberta", "distilbert", "modernbert", "gpt2", "llama", "t5", "t5_1_1", "bart", "bart_biased"}


@pytest.mark.parametrize("name", [name for name in TOYS if name not in LIKE_ANOTHER])
def test_overrides_of_a_folder_compose_to_its_config(name: str, saved: Any) -> None:
    found = PublishedModel.open(saved(name)[1])
    task = "pretraining" if name in ENCODERS else "completion" if name in DECODERS else "translation"
    composed = compose([f"task={task}", *model_overrides(found.parts, catalogue.load())]).config["model"]
    assert normalized(composed) == found.node()


RENAMED = {"tie_word_embeddings", "scale_decoder_outputs"}


@pytest.mark.parametrize(
    ("name", "selected", "expected"),
    [
        ("modernbert", "[0,3]", [{"window": None}]),
        ("modernbert", "{encoder: [1,0]}", [{}, {"window": None}]),
        ("modernbert", "9", [{"window": None}, {}, {}]),  # said elsewhere
        ("smollm3", "[1]", [{"position": "none"}]),
        ("smollm3", "[0,2]", []),
    ],
)
def test_selected_layers_keep_their_settings(name: str, selected: str, expected: Any, saved: Any) -> None:
    words = [f"model.pretrained={saved(name)[1]}", f"model.init_layers={selected}"]
    stack = "encoder" if name in ENCODERS else "decoder"
    found = [word for word in overrides_from(words, Sources()) if word.startswith(f"model.{stack}.layers=")]
    assert found == ([f"model.{stack}.layers={written(expected)}"] if expected else [])
