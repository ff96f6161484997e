"""Presets of published data sets read files in the published layout."""

from pathlib import Path

import pytest
import yaml

from framework.data.sources.files import FilesData
from framework.errors import UserError
from framework.registry import Part
from tests.data.toy import Labeled, Pairs, Stream, Summarized, Tagged

CONF = Path(__file__).parents[2] / "conf"
WNUT17 = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")
FILES = {
    "ag_news": {
        "train.csv": "Class Index,Title,Description\n" + '"3","Oil, and ""more""","Wall St.\\band of bears"\n' * 7,
        "test.csv": '"2","It\'s over","Germany wins"\n',
    },
    "conll2003": {
        f"eng.{split}": "-DOCSTART- -X- -X- O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n" for split in ("train", "testa", "testb")
    },
    "dialogsum": {
        **{f"dialogsum.{split}.jsonl": '{"fname": "x", "dialogue": "a\\nb", "summary": "s", "topic": "t"}\n' for split in ("train", "dev")},
        "dialogsum.test.jsonl": '{"dialogue": "a\\nb", "summary1": "s1", "topic1": "t", "summary2": "s2", "summary3": "s3"}\n',
    },
    "imdb": {f"{split}/{label}/0_1.txt": f"{label}<br />" for split in ("train", "test") for label in ("neg", "pos", "unsup")},
    "ncbi_disease": {f"{name}.tsv": "colon\tB-Disease\ncancer\tI-Disease\n\n" for name in ("train", "devel", "test")},
    "samsum": {
        f"{name}.json": '[{"id": "13", "summary": "Amanda bakes.",\n"dialogue": "Amanda: Hi\\r\\nJerry: ;-)"}]'
        for name in ("train", "val", "test")
    },
    "wikiann": dict.fromkeys(("train", "dev", "test"), "en:EU\tB-ORG\nen:rejects\tO\n\n"),
    "wikitext2": {f"{name}.txt": f" \n = {name} = \n \n A <unk> @-@ b . \n" for name in ("train", "valid", "test")},
    "wnut17": dict.fromkeys(WNUT17, "#\tO\n#photography\tO\n\t\nEU\tB-group\n"),
    "sst2": {"train.tsv": 'a stirring , " funny film\t1\nno\t0\n', "dev.tsv": "fine\t1\n", "test.tsv": "bad\t0\n"},
    "trec": {"TREC.train": "DESC:manner How did ð it ?\n" * 10, "TREC.test": "NUM:count How many ?\n"},
    "tinyshakespeare": {"input.txt": "First Citizen:\nSpeak, speak.\n\n" * 10},
    "multi30k": {
        f"{split}.{language}": f"{language} {split} 1\n{language} {split} 2\n"
        for split in ("train", "val", "test_2016_flickr")
        for language in ("en", "de")
    },
}
FORMATS = {
    **dict.fromkeys(("ag_news", "imdb", "sst2", "trec"), Labeled),
    **dict.fromkeys(("conll2003", "ncbi_disease", "wikiann", "wnut17"), Tagged),
    **dict.fromkeys(("tinyshakespeare", "wikitext2"), Stream),
    "multi30k": Pairs,
    **dict.fromkeys(("dialogsum", "samsum"), Summarized),
}


def source(name, folder):
    preset = yaml.safe_load((CONF / "data" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert preset.pop("is") == "files"
    return FilesData(FORMATS[name](), 0, **{**preset, "batches": Part("batches/rows"), "folder": folder})


@pytest.fixture
def read(tmp_path):
    def read(name, split):
        for file, text in FILES[name].items():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text, encoding="latin-1")
        data = source(name, str(tmp_path))
        data.check()
        return [row for row, _ in data.rows(split)]

    return read


def test_sst2(read):
    assert read("sst2", "train") == [{"text": 'a stirring , " funny film', "label": "1"}, {"text": "no", "label": "0"}]
    assert read("sst2", "validation") == [{"text": "fine", "label": "1"}]
    assert read("sst2", "test") == [{"text": "bad", "label": "0"}]


def test_trec_is_latin_1_and_keeps_the_coarse_label(read):
    assert read("trec", "train") == [{"text": "How did ð it ?", "label": "DESC"}] * 9
    assert len(read("trec", "validation")) == 1
    assert read("trec", "test") == [{"text": "How many ?", "label": "NUM"}]


def test_tinyshakespeare_holds_out_the_last_tenth(read):
    text = FILES["tinyshakespeare"]["input.txt"]
    border = int(len(text) * 0.9)
    assert read("tinyshakespeare", "train") == [{"text": text[:border]}]
    assert read("tinyshakespeare", "validation") == [{"text": text[border:]}]


def test_multi30k(read):
    assert read("multi30k", "train")[1] == {"source": "en train 2", "target": "de train 2"}
    assert read("multi30k", "validation")[0] == {"source": "en val 1", "target": "de val 1"}
    assert read("multi30k", "test")[0] == {"source": "en test_2016_flickr 1", "target": "de test_2016_flickr 1"}


def test_ag_news_has_a_title_and_a_body_and_a_header_or_none(read):
    assert read("ag_news", "train")[0] == {"text": 'Oil, and "more" Wall St.\nband of bears', "label": "3"}
    assert len(read("ag_news", "train")) == 6 and len(read("ag_news", "validation")) == 1
    assert read("ag_news", "test") == [{"text": "It's over Germany wins", "label": "2"}]


def test_imdb_is_two_of_three_folders(read):
    assert read("imdb", "test") == [{"text": "neg<br />", "label": "neg"}, {"text": "pos<br />", "label": "pos"}]


def test_conll_2003_has_the_tag_last(read):
    assert read("conll2003", "validation") == [{"tokens": ["EU", "rejects"], "tags": ["I-ORG", "O"]}]


def test_wnut17_has_tabs_between_sentences_and_hash_signs_as_tokens(read):
    assert [row["tokens"] for row in read("wnut17", "test")] == [["#", "#photography"], ["EU"]]


def test_ncbi_disease(read):
    assert read("ncbi_disease", "validation") == [{"tokens": ["colon", "cancer"], "tags": ["B-Disease", "I-Disease"]}]


def test_samsum_is_one_array_a_file(read):
    assert read("samsum", "validation") == [{"document": "Amanda: Hi\r\nJerry: ;-)", "summary": "Amanda bakes."}]


def test_dialogsum_has_three_summaries_in_its_test_part(read):
    assert read("dialogsum", "train") == [{"document": "a\nb", "summary": "s"}]
    assert read("dialogsum", "test") == [{"document": "a\nb", "summary": ["s1", "s2", "s3"]}]


def test_wikiann_has_a_language_on_every_token(read):
    assert read("wikiann", "train") == [{"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}]


def test_wikitext_2_keeps_every_line(read):
    assert [row["text"] for row in read("wikitext2", "validation")] == [" \n", " = valid = \n", " \n", " A <unk> @-@ b . \n"]


@pytest.mark.parametrize("name", FILES)
def test_without_a_folder_the_error_has_the_address_of_the_data(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"does not exist .*; set data.folder=DIR .*\nthe data is published at https://"):
        source(name, None).check()


@pytest.mark.parametrize("file", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda file: file.stem)
def test_an_experiment_says_what_it_is_made_of(file):
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    chosen = {group for group, value in values.items() if isinstance(value, str) or "is" in value}
    assert {"task", "data", "tokenizer", "model", "optimizer", "schedule"} <= chosen
    assert values["trainer"].keys() & {"max_epochs", "max_steps"} and "is" not in values["trainer"]  # so that any trainer may be chosen
