"""Export with to=huggingface: transformers gives the predictions of `predict`."""

import json
import random
from pathlib import Path

import pytest
import torch

from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.export.huggingface import write
from framework.huggingface.writing import generation_config
from framework.runs.build import build_task
from framework.runs.checkpoint import load_weights
from framework.runs.predictor import Predictor
from tests.integration.conftest import LEXICON, write_data
from tests.integration.conftest import train as trained
from tests.precision import doubles, in_double

SMALL = [
    "model.dim=32",
    "model.num_layers=1",
    "model.num_heads=2",
    "model.max_length=48",
    "callbacks.progress.style=off",
    "optimizer.lr=1e-2",
]
pytestmark = pytest.mark.slow  # the runs are trained
ROWS = 100
ROUNDING = 8 * torch.finfo(torch.float32).eps  # a pipeline makes scores (a few units) and probabilities float32
TAGS = {"Paris": "B-place", "Lyon": "B-place", "Anna": "B-who"}
BERT = ["model=bert_tiny", *SMALL]
T5 = [
    *("model=encoder_decoder", "model/position=relative", "model/norm=rms", "model/feed_forward=relu", "model.bias=false", *SMALL),
    *("model.attention.scale=1.0", "model.output_scale=0.1767767"),
]
RUNS = {
    "classification": ["task=classification", *BERT, "task.pooling=pooler", "data.test=test.csv", "tokenizer=bytes"],
    "ner": [
        "task=ner",
        *BERT,
        "task/head=softmax",
        "task.format.pieces=first",
        "task.format.word_features=0",
        "tokenizer=wordpiece",
        "tokenizer.vocab_size=300",
    ],
    "completion": [
        "task=completion",
        "model=tiny_decoder",
        *SMALL,
        "tokenizer=bpe",
        "tokenizer.vocab_size=300",
        "task.decoding.max_new_tokens=12",
    ],
    "translation": [
        "task=translation",
        *T5,
        "effort=fixed",
        "tokenizer=bpe",
        "tokenizer.vocab_size=300",
        "task.decoding.max_new_tokens=12",
    ],
}


def write_rows(folder):
    """Beside reviews and pairs: tagged sentences and lines of text."""
    write_data(folder)
    draw = random.Random(1)
    lines = []
    for _ in range(150):
        lines += [f"{word} {TAGS.get(word, 'O')}" for word in draw.choices([*LEXICON, *TAGS], k=draw.randint(2, 6))] + [""]
    (folder / "train.conll").write_text("\n".join(lines))
    (folder / "text.txt").write_text("\n".join(" ".join(draw.choices(list(LEXICON), k=8)) for _ in range(200)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Task -> a run, a little trained, and its export."""
    folder = tmp_path_factory.mktemp("export")
    data = {
        "classification": ["data=files", "data.train=train.csv", "data.validation=dev.csv"],
        "ner": ["data=files", "data.train=train.conll", "data.validation=train.conll"],
        "completion": [
            *("data=files", "data.train=text.txt", "data.validation=text.txt", "data/batches=packed", "data.batches.budget=384"),
            "task.ngrams=0",  # which no published family has
        ],
        "translation": ["data=files", "data.train=[train.en,train.de]", "data.validation=[dev.en,dev.de]"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_rows(folder)
        found = {}
        for name, words in RUNS.items():
            run = trained(*words, *data[name], "trainer.max_steps=100", "trainer.max_epochs=-1", "trainer.val_check_interval=null")
            (folder / name).mkdir()
            write(Predictor.load(run), folder / name)
            found[name] = run, folder / name
    return found


def asked(run, texts):
    """In double precision, as everything here: else near ties would fall as the processor sums."""
    loaded = Predictor.load(run)
    loaded.task.double()
    return loaded.predict(texts)


def their(kind, folder, **options):
    from transformers import pipeline

    made = pipeline(kind, model=str(folder), **options)
    made.model = in_double(made.model)
    return made


def sentences(seed=2):
    draw = random.Random(seed)
    return [" ".join(draw.choices([*LEXICON, "fine", "awful", "Paris", "Anna"], k=draw.randint(1, 7))) for _ in range(ROWS)]


def test_classification(runs):
    run, folder = runs["classification"]
    reference = their("text-classification", folder, top_k=None)(sentences())
    for own, scores in zip(asked(run, sentences()), reference, strict=True):
        assert own["prediction"] == scores[0]["label"]
        assert own["scores"] == pytest.approx({score["label"]: score["score"] for score in scores}, abs=ROUNDING)
    assert len({own["prediction"] for own in asked(run, sentences())}) == 2  # or nothing would have been compared


def test_ner(runs):
    run, folder = runs["ner"]
    reference = their("token-classification", folder, aggregation_strategy="first")(sentences())
    found = 0
    for own, spans in zip(asked(run, sentences()), reference, strict=True):
        entities = [(span["start"], span["end"], span["type"]) for span in own["prediction"]]
        assert entities == [(span["start"], span["end"], span["entity_group"]) for span in spans]
        found += len(entities)
    assert found > ROWS // 2


def test_completion(runs):
    run, folder = runs["completion"]
    write_on = their("text-generation", folder)
    texts = [text for text in sentences() if len(text) > 3]
    reference = [found[0]["generated_text"] for found in write_on(texts, return_full_text=False, max_new_tokens=12)]
    own = [found["prediction"] for found in asked(run, texts)]
    assert own == reference and len(set(own)) >= 5


def test_translation(runs):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    run, folder = runs["translation"]
    model, tokenizer = in_double(AutoModelForSeq2SeqLM.from_pretrained(folder)), AutoTokenizer.from_pretrained(folder)
    read = tokenizer(sentences(), return_tensors="pt", padding=True)
    with torch.no_grad(), doubles():
        written = model.generate(**read)
    reference = tokenizer.batch_decode(written, skip_special_tokens=True)
    own = [found["prediction"] for found in asked(run, sentences())]
    assert own == reference and len(set(own)) >= 5


def test_an_export_is_a_pretrained_model(runs, tmp_path, monkeypatch, capsys):
    """Out and in again: the same weights, head and tokenizer."""
    run, folder = runs["classification"]
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    words = ["task=classification", f"model.pretrained={folder}", "task.pooling=pooler", "data=files", "data.train=train.csv"]
    again = trained(*words, "trainer.max_steps=1", "optimizer.lr=0.0", "callbacks.progress.style=off")
    said = capsys.readouterr().out
    assert "newly initialized" not in said and "not used" not in said
    own, reference = (load_weights(each / "checkpoints" / "best.ckpt") for each in (run, again))
    assert own.keys() == reference.keys() and all(torch.equal(own[name], reference[name]) for name in own)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=bert_tiny", "model/position=rotary"], "The nearest is bert, with model/position=learned"),
        (
            ["model=bert_tiny", "model.attention.scale=0.5"],
            "no published family .* The nearest is bert, with model.attention.scale=null",
        ),
        (["model=bert_tiny", "task.pooling=mean"], "scores by 'pooler, linear', this task by 'mean, linear'"),
        (["model=tiny_decoder", "task.pooling=last"], "scores by 'last, linear without bias', this task by 'last, linear'"),
    ],
)
def test_a_model_without_a_published_class_is_refused(tmp_path, words, said):
    from framework.workflows.start import compose_run as compose

    config = compose(["task=classification", *words, *SMALL]).config
    spec = DataSpec(20, 48, begin=1, end=2, mask=3, labels=("a", "b"))
    task = build_task(config, spec)
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        write(Predictor(task, None, None, spec, config, Path()), tmp_path)


def test_generation_settings():
    spec = DataSpec(20, 48, padding=3, begin=1, end=2)
    beam = {
        "part": "decoding/beam",
        "num_beams": 4,
        "length_penalty": 0.6,
        "max_length": None,
        "no_repeat_ngram_size": 3,
        "early_stopping": "exact",
    }
    found = generation_config(beam, spec, "text2text-generation")
    assert found["num_beams"] == 4 and found["length_penalty"] == 0.6 and found["early_stopping"] == "never"
    assert (
        found["no_repeat_ngram_size"] == 3
        and found["max_length"] == 49
        and "max_new_tokens" not in found
        and found["decoder_start_token_id"] == 1
    )
    sampling = generation_config({"part": "decoding/sampling", "top_k": 5, "temperature": 0.7}, spec, "text-generation")
    assert sampling["do_sample"] and sampling["top_k"] == 5 and "decoder_start_token_id" not in sampling
    assert generation_config(None, spec, "text-classification") is None


def test_the_config_names_labels(runs):
    config = json.loads((runs["ner"][1] / "config.json").read_text())
    assert config["id2label"] == {"0": "O", "1": "B-place", "2": "I-place", "3": "B-who", "4": "I-who"}
    assert config["architectures"] == ["BertForTokenClassification"] and config["num_labels"] == 5
