"""Users' mistakes: exit code 2, a message of a few lines with what is wrong, where and what is right, and nothing on disk."""

import ast
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from framework.__main__ import main as framework_main
from framework.cli.train import main as train_main
from framework.config import catalogue as index
from tests.integration.conftest import CLASSIFICATION, TRANSLATION, train

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

ROOT = Path(__file__).parents[2]


PROGRESS = re.compile(r"[\w ]+ \(\d+:\d\d\)")  # on a slow machine


@pytest.fixture
def refused(project, capfd):
    """Runs a wrong command; returns the message."""

    def type_(*words, main=train_main):
        before = sorted(project.rglob("*"))
        capfd.readouterr()
        assert main(list(words)) == 2
        out, message = capfd.readouterr()
        assert out == ""
        assert "Traceback" not in message
        lines = [line for line in message.strip().splitlines() if not PROGRESS.fullmatch(line)]
        assert 1 <= len(lines) <= 6, message
        assert sorted(project.rglob("*")) == before
        return message

    return type_


CONFIG = {
    "unknown option": ("model=bret_tiny", "model: there is no model 'bret_tiny' (did you mean 'bert_tiny'?); there are: "),
    "unknown option of a slot": (
        "model/attention=multihead",
        "model/attention: there is no attention 'multihead' (did you mean 'multi_head'?)",
    ),
    "unknown experiment": ("experiment=sst", "experiment: there is no experiment 'sst' (did you mean 'sst2'?)"),
    "unknown group": ("modle=bert_tiny", "modle: the top level has no such option (did you mean 'model'?)"),
    "a slot without its model": ("attention=linear", "attention: there is no such group (did you mean 'model/attention'?)"),
    "misspelt key": ("model.dmi=16", "model.dmi: model/decoder_only has no such option (did you mean 'dim'?); it has: dim, "),
    "misspelt inner key": (
        "model.attention.kv_head=1",
        "model.attention.kv_head: attention/multi_head has no such option (did you mean 'num_kv_heads'?)",
    ),
    "misspelt top key": ("sede=1", "sede: "),
    "misspelt with +": ("+model.dmi=16", "model.dmi: model/decoder_only has no such option (did you mean 'dim'?)"),
    "misspelt with ++": ("++model.dmi=16", "model.dmi: model/decoder_only has no such option (did you mean 'dim'?)"),
    "new top key": ("+colour=red", "colour: there is no such key"),
    "taken away with ~": ("~model.dim", "model.dim: is required and was removed"),
    "a group taken away with ~": ("~tokenizer", "tokenizer: choose one, tokenizer=bpe|"),
    "a key to take away that is not there": ("~model.dmi", "model.dmi"),
    "wrong type": ("model.dim=wide", "model.dim: 'wide' is not of type int"),
    "a fraction for a number": ("model.num_layers=1.5", "model.num_layers: 1.5 is not of type int"),
    "none of the literals": ("callbacks.progress.style=bars", "callbacks.progress.style: 'bars' is not of type Literal"),
    "a dictionary for a value": ("model.dim={a:1}", "model.dim: {'a': 1} is not of type int"),
    "a part that is no part": ("model.attention=linear", "model.attention"),
    "a slot that the model has not": (
        "model/encoder=standard",
        "model/encoder: model/decoder_only has no slot 'encoder' (did you mean 'decoder'?)",
    ),
    "a key below a slot that follows": ("model.decoder.attention.bias=true", "model.decoder.attention"),
    "dim and heads": ("model.dim=30", "dim must be a multiple of num_heads"),
    "no grammar": ("model", "model: this is not key=value"),
    "no such flag": ("--fast", "--fast: there is no such flag"),
    "no such folder of configs": ("--config-dir=mine", "--config-dir mine: there is no such folder"),
    "a column of no format": (
        "data=files data.columns.txt=a",
        "data.columns.txt: format/completion has no such column (did you mean 'text'?)",
    ),
    "no task for the model": ("task=translation model=bert_tiny", "choose model=encoder_decoder"),
    "a task for another model": ("task=classification model=tiny_encoder_decoder", "choose an encoder or a decoder"),
    "a bias without scores": ("model/attention=linear model/position=alibi", "linear"),
    "rows that are no text": ("task=classification data/batches=packed", "running text; choose data/batches=buckets"),
}


@pytest.mark.matrix(0.4, axes=())
@pytest.mark.parametrize(("words", "said"), CONFIG.values(), ids=CONFIG)
def test_config(refused, words, said):
    assert said in refused(*words.split())


OTHER_WORDS = {
    "lr=1e-3": "optimizer.lr=1e-3",
    "batch_size=32 task=classification": "data/batches=rows data.batches.rows=32",
    "batch_size=32 task=classification data/batches=rows": "data.batches.rows=32",
    "epochs=3": "trainer.max_epochs=3",
    "model.n_layers=4": "model.num_layers=4",
    "model.hidden_size=64": "model.dim=64",
    "model.depth=4": "model.num_layers=4",
    "++model.depth=4": "model.num_layers=4",
    "+trainer.num_train_epochs=2": "trainer.max_epochs=2",
    "optimizer.learning_rate=0.1": "optimizer.lr=0.1",
    "optimizer.beta1=0.9": "optimizer.betas=[BETA1,BETA2]",
    "scheduler=cosine": "schedule=cosine",
    "model.attention.kv_heads=2": "model.attention.num_kv_heads=2",
    "warmup-steps=10": "schedule.warmup=10",
    "--learning_rate 1e-3": "optimizer.lr=1e-3",
    "--learning-rate=1e-3": "optimizer.lr=1e-3",
    "--num_train_epochs 3 --per_device_train_batch_size 8": "trainer.max_epochs=3",
    "--fp16": "trainer.precision=VALUE",
    "--task ner": "task=ner",
    "--model.dim 64": "model.dim=64",
}


@pytest.mark.matrix(0.3, axes=())
@pytest.mark.parametrize(("words", "said"), OTHER_WORDS.items(), ids=OTHER_WORDS)
def test_words_of_other_tools_are_answered_with_ours(refused, words, said):
    for main in (train_main, lambda words: framework_main(["check", *words])):
        assert re.search(rf"write {re.escape(said)}(?=[;\s]|$)", refused(*words.split(), main=main))


VALUES = {
    "model=null": "model=albert_base|",
    "model/encoder=null": "model/encoder=shared|standard",
    "model.num_heads=0": "must be positive",
    "model.attention.head_dim=0": "head_dim must be positive",
    "model/position=rotary model.attention.head_dim=7": "must be even",
    "model.epsilon=-1": "epsilon must be in (0, 1)",
    "model.initial_std=-1": "initial_std",
    "model.max_length=2": "max_length must leave room",
    "model.num_layers=100000": "num_layers must be at most 4,096",
    "model.dim=10000000 model.num_heads=10": "dim must be at most",
    "model.dim=131072 model.num_heads=2 model.num_layers=300": "training this model needs ",
    "model.pretrained=''": "model.pretrained: ",
    "model/adapter=lora model.pretrained=x model.adapter.rank=1000": "there is no folder x",
    "optimizer.lr=inf": "optimizer.lr: inf is no number that can be computed with",
    "optimizer.lr=-1": "lr must be below",
    "optimizer.weight_decay=-1": "weight_decay must not be negative",
    "optimizer.betas=[0.9]": "betas must be two numbers",
    "optimizer.betas=[0.9,1.5]": "betas must be two numbers",
    "optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true": "nesterov needs a positive momentum",
    "optimizer=muon optimizer.ns_steps=1000": "ns_steps must be",
    "optimizer=adafactor optimizer.eps=[1]": "eps must be two numbers",
    "schedule=warmup_stable_decay schedule.decay=-1": "decay must be",
    "schedule=warmup_stable_decay schedule.decay=50 trainer.max_steps=20": "steps of decay and warmup",
    "trainer.max_epochs=-1": "needs a run with a limit",
    "trainer.max_epochs=-2": "max_epochs must be",
    "trainer.max_steps=0": "max_steps must be",
    "trainer.accumulate_grad_batches=0": "accumulate_grad_batches must be",
    "trainer.val_check_interval=0": "val_check_interval must be",
    "trainer.val_check_interval=1.5": "val_check_interval must be",
    "trainer.max_time=soon": "max_time must be",
    "trainer.accelerator=3": "trainer.accelerator: 3 is not of type",
    "trainer.strategy=foo": "trainer.strategy: 'foo' is not of type",
    "trainer.devices=0": "devices must be a number of processes",
    "trainer.devices=x": "trainer.devices=x: write a number of processes",
    "trainer.devices=100000 trainer.accelerator=cpu": "trainer.devices=100000 are 100,000 processes",
    "callbacks.checkpoint.every_n_train_steps=0": "every_n_train_steps must be",
    "data.workers=-1": "workers must not be negative",
    "tokenizer=bpe tokenizer.vocab_size=10": "vocab_size must be more",
    "tokenizer=wordpiece tokenizer.vocab_size=5": "vocab_size must be more",
    "tokenizer=unigram tokenizer.longest=0": "longest must be",
    "seed=1099511627776": "seed: ",
    "name=..": "name: '..'",
    "name=../../x": "name: '../../x'",
}


@pytest.mark.matrix(0.3, axes=())
@pytest.mark.parametrize(("words", "said"), VALUES.items(), ids=VALUES)
def test_a_value_that_cannot_work_is_refused_before_the_run_has_a_folder(refused, words, said):
    assert said in refused(*CLASSIFICATION, "trainer.accelerator=cpu", *words.split())


def test_an_impossible_combination_names_remedies(refused):
    message = refused("task=translation", "model=bert_tiny")
    (ways,) = re.findall("Any one of these resolves it: (.*)", message)
    assert "model=" in ways and "task=classification" in ways and "tiny_encoder_decoder" in ways
    message = refused("model/attention=linear", "model/position=alibi")
    (ways,) = re.findall("Any one of these resolves it: (.*)", message)
    assert re.search(r"model/attention=\S*multi_head", ways) and "rotary" in ways


def test_all_mistakes_are_reported_at_once(refused):
    message = refused("model.dim=wide", "seed=many", "+model.dmi=3", "~model.num_layers")
    assert all(said in message for said in ("model.dim: 'wide'", "seed: 'many'", "model.dmi: ", "model.num_layers: is required"))
    message = refused("model=bret_tiny", "tokenizer=bype")
    assert "'bret_tiny'" in message and "'bype'" in message
    message = refused("model.dmi=3", "optimizer.lrr=3")
    assert "model.dmi" in message and "optimizer.lrr" in message
    wrong = ["model.dim=30", "model/attention=linear", "model/position=alibi", "model=tiny_decoder", "task.pooling=first"]
    message = refused("task=classification", *wrong)
    assert "dim=30" in message and "linear" in message and "task.pooling=last" in message


def test_more_than_six_mistakes_are_counted(refused):
    message = refused(*(f"+model.wrong{number}=1" for number in range(9)))
    assert message.strip().endswith("... and 4 more")


@pytest.mark.parametrize("verb", ["train", "check"])
def test_every_verb_checks_overrides(refused, verb):
    assert "(did you mean 'dim'?)" in refused(verb, "model.dmi=16", main=framework_main)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluat", "runs/last"], "evaluat: there is no such verb (did you mean 'evaluate'?)"),
        (["describe", "attention/multihead"], "(did you mean"),
        (["list", "atention"], "(did you mean 'attention'?)"),
        (["evaluate"], "evaluate needs a run folder"),
        (["evaluate", "runs/last"], "runs/last: there is no such run folder"),
        (["predict", ".", "text=a"], ". is no run: it has no config.yaml"),
        (["evaluate", "train.csv"], "train.csv"),
    ],
    ids=" ".join,
)
def test_verbs(refused, words, said):
    assert said in refused(*words, main=framework_main)


MISTAKES = {
    "conflict": ["task=translation", "model=bert_tiny", "model.dim=33"],
    "sweep": ["-m", "model.dim=16,32", "model.dpeth=1"],
    "data": [*CLASSIFICATION, "data.train=gone.csv"],
    "resume": ["resume=auto"],
}


def test_mistakes_are_reported_without_torch(project):
    """It takes seconds. In one separate process; the first mistake that imports it is the first that says so."""
    index.load.cache_clear()
    index.load()  # made and kept, if a source has changed since
    program = f"""\
import sys
from framework.cli.train import main

print({{name: (main(words), 'torch' in sys.modules) for name, words in {MISTAKES!r}.items()}})
"""
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=project, env=around, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == dict.fromkeys(MISTAKES, (2, False)), done.stderr
    assert not (project / "runs").exists()


DATA = {
    "missing file": (["data.train=gone.csv"], b"", "gone.csv does not exist (data.train=gone.csv)"),
    "empty file": (["data.train=bad.csv"], b"", "bad.csv is empty (data.train)"),
    "no rows": (["data.dev=null", "data.test=bad.csv"][1:], b"text,label\n", "bad.csv has no rows (data.test)"),
    "missing column": (
        ["data.train=bad.csv"],
        b'text,label\n"one\ntwo",good\nalone\n',
        "bad.csv, line 4: column 'label' is missing (1 columns here)",
    ),
    "another header": (["data.train=bad.csv"], b"text,stars\none,good\n", "bad.csv, line 1: there is no column 'label'"),
    "wrong encoding": (
        ["data.test=bad.csv"],
        b"text,label\nfine,good\nf\xfcr,good\n",
        "bad.csv, line 3, byte 22 of the file: 0xfc is not utf-8",
    ),
    "unseen label": (
        ["data.test=bad.csv", "task.format.unseen_labels=refuse"],
        b"text,label\nfine,good\nmeh,mixed\n",
        "bad.csv, line 3: label 'mixed' does not occur in the training rows",
    ),
    "one label": (
        ["data.train=bad.csv"],
        b"text,label\nfine,good\nmeh,good\n",
        "at least two labels are needed; the training rows have 'good'",
    ),
    "too long": (
        ["data.test=bad.csv", "task.format.long=refuse"],
        b"text,label\n" + b"a" * 40 + b",good\n",
        "bad.csv, line 2: the text has at least 40 tokens, the model takes 30 (model.max_length=32)",
    ),
    "no labels to learn": (["data.columns.label=stars"], b"", "train.csv, line 1: there is no column 'stars'"),
    "no such kind": (["data.kind=xls"], b"", "data.kind: 'xls' is not of type Literal"),
    "no such encoding": (["data.encoding=utf9"], b"", "data.encoding=utf9 is no encoding of Python"),
    "no encoding of text": (["data.encoding=idna"], b"", "data.encoding=idna is no encoding of Python"),
    "a share of two": (["data.validation_share=2"], b"", "data.validation_share=2"),
}


@pytest.mark.matrix(0.5, axes=())
@pytest.mark.parametrize(("words", "content", "said"), DATA.values(), ids=DATA)
def test_data(project, refused, words, content, said):
    (project / "bad.csv").write_bytes(content)
    assert said in refused(*CLASSIFICATION, *words)


def test_a_missing_folder_is_reported_with_the_source_of_the_data(refused):
    message = refused("experiment=sst2")
    assert "data.folder=DIR" in message and "https://github.com/" in message


def test_a_data_set_of_the_hub_offline(refused):
    assert "nobody/nothing" in refused("data=hub", "data.path=nobody/nothing")


def test_parallel_files_of_different_length(project, refused):
    (project / "train.de").write_text("eins\nzwei\n")
    assert "train.en has 150, train.de has 2" in refused(*TRANSLATION)


def test_a_long_text_and_unknown_characters_are_counted(project, capsys):
    with (project / "test.csv").open("a") as file:
        file.write(f"{'a' * 40},good\nжук жук,good\n")
    train(*CLASSIFICATION, "trainer.max_epochs=1", "trainer.limit_train_batches=1", "tokenizer=characters", "tokenizer.unseen=unknown")
    printed = capsys.readouterr().out
    assert re.search(r"test +23 rows .*, 6 unknown, 1 truncated", printed)
    assert re.search(r"test: [\d.]+% of the characters are in unknown tokens, such as 'ж', .*tokenizer=unigram", printed)
    assert "train: " not in printed


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with data and one short run."""
    from tests.integration.conftest import write_data

    folder = tmp_path_factory.mktemp("trained")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(*CLASSIFICATION, "trainer.max_epochs=1", "name=trained")
    return folder


class Hostile:
    def __reduce__(self):
        return os.system, ("touch HACKED",)


def truncated(path):
    path.write_bytes(path.read_bytes()[:5000])


def foreign(path):
    torch.save({"weights": torch.zeros(2)}, path)


def hostile(path):
    torch.save({"state_dict": {"task.head.weight": Hostile()}}, path)


def no_checkpoint(path):
    path.write_text("once upon a time")


def pickled(path):
    path.write_bytes(pickle.dumps(Hostile()))


BROKEN = {
    truncated: "truncated or damaged",
    foreign: "not a checkpoint",
    hostile: "might run code",
    no_checkpoint: "no file of torch.save",
    pickled: "no file of torch.save",
}


@pytest.mark.matrix(0)
@pytest.mark.parametrize("command", ["predict", "evaluate", "resume"])
@pytest.mark.parametrize("spoil", BROKEN, ids=lambda spoil: spoil.__name__)
def test_a_broken_checkpoint(trained, monkeypatch, capfd, spoil, command):
    monkeypatch.chdir(trained)
    run = Path("runs/last").resolve()
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    commands = {
        "predict": lambda: framework_main(["predict", "runs/last", "text=fine"]),
        "evaluate": lambda: framework_main(["evaluate", "runs/last"]),
        "resume": lambda: train_main(["resume=runs/last", "trainer.max_epochs=2"]),
    }
    try:
        for name in ("best.ckpt", "last.ckpt"):
            (run / "checkpoints" / name).unlink()  # two names of one file
            (run / "checkpoints" / name).write_bytes(files[run / "checkpoints" / name])
            spoil(run / "checkpoints" / name)
        assert commands[command]() == 2
        message = capfd.readouterr().err
        assert BROKEN[spoil] in message and ".ckpt" in message
        assert len(message.strip().splitlines()) <= 6 and "Traceback" not in message
        assert not Path("HACKED").exists()
    finally:
        for path, content in files.items():
            path.write_bytes(content)


def test_a_run_with_a_damaged_config(project, refused):
    (project / "odd").mkdir()
    (project / "odd" / "config.yaml").write_text("just: this")
    assert "config.yaml is not the config of a run" in refused("evaluate", "odd", main=framework_main)
    (project / "odd" / "config.yaml").write_text("{just: [")
    assert "config.yaml is damaged" in refused("resume=odd")


def test_a_loss_that_is_no_number_stops_the_run(project, capsys):
    assert train_main([*CLASSIFICATION, "optimizer=sgd", "optimizer.lr=900000", "trainer.gradient_clip_val=null", "schedule=constant"]) == 2
    message = capsys.readouterr().err
    assert re.search(r"Training stopped: .* at step \d+", message) and "Try a lower optimizer.lr" in message
    assert len(message.strip().splitlines()) <= 6


def test_ctrl_c_keeps_last_and_prints_how_to_resume(project, monkeypatch, capsys):
    from framework.training.learner import Learner

    begin = Learner.training_step

    def interrupted(self, batch, batch_index):
        if self.trainer.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return begin(self, batch, batch_index)

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(Learner, "training_step", interrupted)
    assert train_main(CLASSIFICATION) == 130
    message = capsys.readouterr().err
    assert "last.ckpt has step 3" in message and f"resume=runs/classification/{Path('runs/last').resolve().name} " in message
    assert torch.load("runs/last/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3
    monkeypatch.undo()


def test_a_bug_ends_in_a_traceback(project, monkeypatch):
    def broken(self, batch):
        raise RuntimeError("a bug")

    monkeypatch.setattr("framework.training.learner.Learner.training_step", lambda self, batch, index: broken(self, batch))
    with pytest.raises(RuntimeError, match="a bug"):
        train_main(CLASSIFICATION)
