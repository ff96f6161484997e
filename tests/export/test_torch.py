"""Programs of torch.export: the task's own numbers, on batches they were not made with; and what it takes to read them."""

import json
from random import Random

import pytest
import torch

from framework.errors import UserError
from framework.export import program as programs
from framework.export.programs import batch_program
from framework.export.torch import write
from framework.runs.predictor import Predictor
from plugins.ner.heads import CrfTagHead
from tests.export.runs import make_run
from tests.precision import BILLIONTH, close

ROUNDING = 2 * torch.finfo(torch.float32).eps  # of a probability, which is reported in float32
TEXTS = ["good and plain", "a", "Anna went to Paris with nobody", "x y z"]


def in_double(run):
    loaded = Predictor.load(run)
    loaded.task.double()
    return loaded


def exported(folder, task, *words, **options):
    """A run as it is loaded, and what its program computes."""
    loaded = in_double(make_run(folder, task, *words, **options))
    write(loaded, folder)
    return loaded, torch.export.load(folder / "model.pt2").module()


def asked(loaded, texts=TEXTS):
    """Texts as rows and as the batch that the task would get."""
    rows = [loaded.format.from_text(text) for text in texts]
    features = [loaded.format.encode(row, loaded.tokenizer, loaded.spec) for row in rows]
    return rows, loaded.format.collate(features, loaded.spec, Random(0))


def predicted(loaded, rows):
    return loaded.predict(rows)


def test_classification_from_the_files_of_the_folder(tmp_path):
    loaded, program = exported(tmp_path, "classification", "model.num_layers=1")
    rows, batch = asked(loaded)
    labels = json.loads((tmp_path / "interface.json").read_text())["labels"]
    with torch.no_grad():
        scores = program(batch["ids"], batch["padding_mask"])
        close(scores, loaded.task.export_forward(batch))
        one = program(batch["ids"][:1, :1], batch["padding_mask"][:1, :1])  # one text of one token
        close(one, loaded.task.export_forward({"ids": batch["ids"][:1, :1], "padding_mask": None}))
    assert [labels[best] for best in scores.argmax(dim=1).tolist()] == [row["prediction"] for row in predicted(loaded, rows)]


def test_pairs_of_texts_have_segments(tmp_path):
    words = ["task/format=pairs", "model.segments=2", "model.num_layers=1", "task.pooling=last", "model/position=rotary"]
    loaded, program = exported(tmp_path, "classification", *words)
    _, batch = asked(loaded, ["a ||| good one", "so it is ||| b", "one ||| of them"])
    assert batch["segments"].any()
    with torch.no_grad():
        close(program(batch["ids"], batch["padding_mask"], batch["segments"]), loaded.task.export_forward(batch))
    assert list(json.loads((tmp_path / "interface.json").read_text())["model"]["inputs"]) == ["ids", "padding_mask", "segments"]


def test_pairs_with_overlaps_as_a_program(tmp_path):
    loaded = in_double(make_run(tmp_path, "classification", "task/format=pairs", "model.num_layers=1", "task.ngrams=2"))
    for table in (loaded.task.ngrams.weight, loaded.task.ngrams.overlap_weight):
        torch.nn.init.normal_(table)
    write(loaded, tmp_path)
    program = torch.export.load(tmp_path / "model.pt2").module()
    _, batch = asked(loaded, ["a ||| good one", "so it is ||| it is not", "one ||| of them", "one ||| one"])
    with torch.no_grad():
        scores = program(batch["ids"], batch["padding_mask"], batch["segments"])
        close(scores, loaded.task.export_forward(batch))
        loaded.task.ngrams.overlap_weight.zero_()
        assert not torch.allclose(scores, loaded.task.export_forward(batch))
    assert list(json.loads((tmp_path / "interface.json").read_text())["model"]["inputs"]) == ["ids", "padding_mask", "segments"]


def test_completion_takes_padding_on_either_side(tmp_path):
    loaded, program = exported(tmp_path, "completion", "model.num_layers=1", "model/position=relative")
    text = torch.randint(5, 261, (1, 9))
    with torch.no_grad():
        expected = loaded.task.model.logits(loaded.task.model(text))
        for pad in ((0, 3), (3, 0)):
            ids = torch.nn.functional.pad(text, pad)
            padding_mask = torch.nn.functional.pad(torch.ones_like(text, dtype=torch.bool), pad)
            close(program(ids, padding_mask)[padding_mask][None], expected)


def test_translation_has_the_tasks_logits(tmp_path):
    loaded, program = exported(tmp_path, "translation", "model.num_layers=1")
    source, target = torch.randint(5, 261, (4, 11)), torch.randint(5, 261, (4, 6))
    padding_mask = torch.arange(11) < torch.tensor([11, 1, 5, 8])[:, None]
    model = loaded.task.model
    with torch.no_grad():
        close(program(source, padding_mask, target), model.logits(model(source, target, padding_mask)))


# -- reading the scores: what interface.json says is enough ---------------------------------------------------------------------


def likeliest(scores, postprocessing):
    """The best sequence of tags by the tables of the postprocessing, by exhaustive search word by word."""
    if postprocessing["normalized"]:
        scores = scores.log_softmax(dim=-1)
    ways = {tag: (postprocessing["start"][tag] + float(scores[0][tag]), [tag]) for tag in range(scores.shape[1])}
    for word in scores[1:]:
        ways = {
            tag: max((total + postprocessing["step"][path[-1]][tag] + float(word[tag]), [*path, tag]) for total, path in ways.values())
            for tag in range(scores.shape[1])
        }
    return max((total + postprocessing["end"][path[-1]], path) for total, path in ways.values())[1]


@pytest.mark.parametrize("head", ["softmax", "crf"])
@pytest.mark.parametrize("pieces", ["first", "last", "all"])
def test_entities_follow_from_the_scores_of_pieces(tmp_path, head, pieces):
    statistics = {"scheme": "iob2", "pieces": pieces}
    words = [f"task/head={head}", f"task.format.pieces={pieces}", "task.format.word_features=0"]
    run = make_run(tmp_path, "ner", *words, spec={"statistics": statistics})
    loaded = Predictor.load(run)
    if isinstance(loaded.task.head, CrfTagHead):
        torch.nn.init.normal_(loaded.task.head.step)
        torch.nn.init.normal_(loaded.task.head.ends)
    rows, batch = asked(loaded)
    postprocessing = json.loads(json.dumps(loaded.task.postprocessing()))
    labels = loaded.task.hf_config()["id2label"]
    with torch.no_grad():
        scores = loaded.task.export_forward(batch)  # (B, T, C)
    most = int(batch["num_words"].max())
    assert postprocessing["pieces"] == pieces
    for number, row in enumerate(predicted(loaded, rows)):
        words = [
            scores[number][(batch["word_ids"][number] == number * most + word) & batch["word_mask"][number]].mean(dim=0)
            for word in range(int(batch["num_words"][number]))
        ]
        assert [labels[tag] for tag in likeliest(torch.stack(words), postprocessing)] == row["predicted_tags"]


def test_ner_as_a_program(tmp_path):
    loaded, program = exported(tmp_path, "ner", "model.num_layers=1", "model/position=alibi", "task.format.word_features=0")
    _, batch = asked(loaded)
    with torch.no_grad():
        close(program(batch["ids"], batch["padding_mask"])[batch["padding_mask"]], loaded.task.export_forward(batch)[batch["padding_mask"]])
    assert json.loads((tmp_path / "interface.json").read_text())["labels"] == ["O", "B-person", "I-person", "B-place", "I-place"]


def test_ner_with_features_of_words_as_a_program(tmp_path):
    loaded = in_double(make_run(tmp_path, "ner", "model/position=alibi", "task.format.pieces=first", "task.format.word_features=97"))
    torch.nn.init.normal_(loaded.task.linear.weights)
    write(loaded, tmp_path)
    program = torch.export.load(tmp_path / "model.pt2").module()
    _, batch = asked(loaded)
    of_words = batch["word_features"].flatten(0, 1)  # (B * W, K)
    features = torch.cat([of_words, torch.zeros_like(of_words[:1])])[batch["word_ids"]]  # (B, T, K)
    with torch.no_grad():
        scores = program(batch["ids"], batch["padding_mask"], features)  # (B, T, C)
        close(scores[batch["word_mask"]], loaded.task.words(batch).scores[loaded.task.words(batch).aligned])
    interface = json.loads((tmp_path / "interface.json").read_text())
    assert interface["model"]["inputs"]["features"] == {"shape": ["batch", "tokens", features.shape[-1]], "type": "int64"}
    assert interface["word_features"]["buckets"] == 97 and len(interface["word_features"]["features"]) == features.shape[-1]


@pytest.mark.parametrize("target", ["label", "labels", "number"])
def test_postprocessing_turns_scores_into_predictions(tmp_path, target):
    spec = {"statistics": {"mean": 3.0, "deviation": 2.0}}
    loaded = in_double(make_run(tmp_path, "classification", f"task/target={target}", spec=spec))
    rows, batch = asked(loaded)
    postprocessing, labels = loaded.task.postprocessing(), loaded.task.hf_config()["id2label"]
    with torch.no_grad():
        scores = loaded.task.export_forward(batch)
    for row, found in zip(predicted(loaded, rows), scores, strict=True):
        if target == "number":
            assert row["prediction"] == pytest.approx(postprocessing["mean"] + postprocessing["deviation"] * float(found[0]), rel=BILLIONTH)
        elif target == "labels":
            sure = found.sigmoid()
            assert postprocessing["probability"] == "sigmoid"
            assert row["prediction"] == [labels[number] for number in range(len(labels)) if sure[number] >= postprocessing["threshold"]]
        else:
            assert postprocessing["probability"] == "softmax"
            assert row["score"] == pytest.approx(float(found.softmax(dim=0).max()), rel=ROUNDING)


def test_masked_tokens_have_scores(tmp_path):
    loaded = in_double(make_run(tmp_path, "pretraining"))
    ids = torch.randint(5, 261, (2, 7))
    with torch.no_grad():
        scores = loaded.task.export_forward({"ids": ids, "padding_mask": torch.ones_like(ids, dtype=torch.bool)})
        close(scores, loaded.task.logits(loaded.task.model(ids)))
    assert batch_program(loaded).outputs[0].shape == ("batch", "tokens", 261)


# -- what cannot be exported is said ------------------------------------------------------------------------------------------


class Deciding(torch.nn.Module):
    """A part that looks at a value with Python."""

    def forward(self, ids, padding_mask):
        return ids.float().mean(dim=1, keepdim=True) if int(ids.sum()) > 3 else ids.float()[:, :1]


class Drifting(torch.nn.Module):
    """A module that does another thing when it is exported."""

    def forward(self, ids, padding_mask):
        return ids.float() + (0.5 if torch.compiler.is_exporting() else 0.0)


def made(module):
    inputs = [
        programs.TensorSpec("ids", ("batch", "tokens"), "ids", 9),
        programs.TensorSpec("padding_mask", ("batch", "tokens"), "right_padding"),
    ]
    return programs.Program("model", module, inputs, [programs.TensorSpec("scores", ("batch", "tokens"))])


def test_a_part_that_decides_by_a_value_is_refused():
    with pytest.raises(UserError, match="cannot be exported for texts of any length: it branches on a size or a value"):
        programs.export_program(made(Deciding()))


def test_another_number_is_noticed(tmp_path, monkeypatch):
    loaded = Predictor.load(make_run(tmp_path, "classification"))
    monkeypatch.setattr("framework.export.torch.batch_program", lambda loaded: made(Drifting()))
    with pytest.raises(UserError, match=r"the exported program gives other numbers than the model: scores \(3, 2\) differs by 0.5"):
        write(loaded, tmp_path)
    assert not (tmp_path / "model.pt2").exists()
