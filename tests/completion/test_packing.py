"""Documents that share a row and do not see each other, and windows that overlap so that each token is scored with enough before it."""

import math
from random import Random

import numpy as np
import pytest
import torch

from framework.config import catalogue
from framework.data.encoding import Encoded, encode
from framework.data.formats import Batch, BatchRows
from framework.data.module import prepare
from framework.data.spec import DataSpec
from framework.data.tokenization.trainers import BytesTokenizer
from framework.data.windows import WindowExamples
from framework.generation.engine import Decode
from framework.generation.strategy import Greedy
from framework.registry import Part, broken, get
from framework.tasks.cross_entropy import IGNORED
from plugins.completion.data import CompletionFormat
from plugins.completion.task import CompletionTask
from tests.data.toy import files

BYTES = BytesTokenizer().train(list)
SPEC = DataSpec(vocab_size=BYTES.vocab_size, max_length=16, padding=0, end=BYTES.special_ids["end"])
LINES = ["the first line\n", "x\n", "a third and longer line of text, cut by windows\n", "\n", "yz\n", "end"]
FORMAT = CompletionFormat(end_of_document=False)

LEGAL = [
    (attention, position)
    for attention in sorted(catalogue.load().options["attention"])
    for position in sorted(catalogue.load().options["position"])
    if not broken(get(f"attention/{attention}").rules, {"provided": set(get(f"position/{position}").provides)})
    and not broken(getattr(get(f"position/{position}"), "rules", {}), {"provided": set(get(f"attention/{attention}").provides)})
]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory) -> Encoded:
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_text("".join(LINES))
    source = files(FORMAT, train=str(path), test=str(path), validation_share=0)
    return encode(source, "test", FORMAT, BYTES, SPEC)


def task_with(**values) -> CompletionTask:

    torch.manual_seed(0)
    options = {"dim": 16, "num_heads": 4, "num_layers": 2, "max_length": 16, "initial_std": 0.3, "dropout": 0.0, **values}
    return CompletionTask(Part("model/decoder_only", **options), SPEC, FORMAT).eval()


def batch_of(windows: WindowExamples, offset: int = 0) -> Batch:
    rows = range(len(windows.lengths))
    return {**FORMAT.collate(windows.batch(np.array(rows), offset), SPEC, Random(0)), "@rows": BatchRows(list(range(len(rows))))}


@torch.no_grad()
@pytest.mark.parametrize("attention, position", LEGAL, ids="-".join)
@pytest.mark.parametrize("offset", [0, 29])
def test_changing_a_document_leaves_every_other_bit_as_it_was(encoded, attention, position, offset):
    model = task_with(attention=Part(f"attention/{attention}"), position=Part(f"position/{position}")).model.double()
    # differences of sums of decays over the whole row: those of other documents leave their rounding
    bits = 1e-12 if attention in ("gated_delta", "retention") else 0.0
    batch = batch_of(WindowExamples(encoded, 16, circular=True, whole=True, isolated=True), offset)
    ids, documents = batch["ids"], batch["documents"]
    before = model.logits(model(ids, documents=documents))
    for changed in range(int(documents.max()) + 1):
        mine = documents == changed
        after = model.logits(model(torch.where(mine, (ids + 1) % SPEC.vocab_size, ids), documents=documents))
        assert (after[~mine] - before[~mine]).abs().max() <= bits
        assert (after[mine] - before[mine]).abs().max() > 1e-3


@torch.no_grad()
def test_packed_documents_are_predicted_as_if_each_stood_alone(encoded):
    """Whole ones; of a longer one each window's part, with positions that begin at the window."""
    task = task_with(position=Part("position/learned")).double()
    batch = batch_of(WindowExamples(encoded, 16, circular=False, whole=True, isolated=True))
    alone = 0.0
    for row in range(len(batch["ids"])):
        for document in set(batch["documents"][row].tolist()) - {-1}:
            here = batch["documents"][row] == document
            ids, targets = batch["ids"][row][here], batch["targets"][row][here]
            scores = task.model.logits(task.model(ids[None]))[0].log_softmax(-1)
            alone -= sum(float(scores[place, target]) for place, target in enumerate(targets.tolist()) if target != IGNORED)
    result = task(batch)
    assert float(result.loss) == pytest.approx(alone, abs=1e-9)
    assert int(result.weight) == sum(len(line.encode()) - 1 for line in LINES)


@torch.no_grad()
def test_the_sample_is_written_from_a_document_alone(encoded):
    task = task_with()
    batch = batch_of(WindowExamples(encoded, 16, circular=False, whole=True, isolated=True))
    _, rows = task.evaluate(batch, Decode(Greedy(max_new_tokens=2), BYTES.decode, SPEC.end))
    assert rows[0]["input"] + rows[0]["reference"] == "the first line\n"
    assert rows[1]["input"] + rows[1]["reference"] == "a third and lon"


@torch.no_grad()
@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("stride", [1, 5])
def test_a_stride_scores_every_token_once_with_enough_before_it(encoded, stride, isolated, position):
    """As the slow way does: for each token a window that ends before it, moved on by the stride."""
    task = task_with(position=Part(f"position/{position}")).double()
    batch = batch_of(WindowExamples(encoded, 16, circular=False, whole=True, isolated=isolated, stride=stride))
    text = BYTES.encode("".join(LINES))
    document = [number for number, line in enumerate(LINES) for _ in line.encode()]
    expected = 0.0
    for place in range(1, len(text)):
        late = -(-max(0, place - 16) // stride) * stride  # where the first window begins that holds this token
        assert place <= 16 or place - late >= 16 - stride
        begin = max(late, document.index(document[place])) if isolated else late
        if begin < place:
            scores = task.model.logits(task.model(torch.tensor([text[begin:place]])))[0, -1].log_softmax(-1)
            expected -= float(scores[text[place]])
    result, rows = task.evaluate(batch, Decode(Greedy(), BYTES.decode, SPEC.end, 0))
    assert float(result.loss) == pytest.approx(expected, abs=1e-8)
    metrics = task.metrics()
    task.update(metrics, rows)
    scored = len(text) - (len(LINES) if isolated else 1)
    assert int(result.weight) == int(metrics["perplexity"].count) == int(metrics["bits_per_byte"].count) == scored
    assert float(metrics["perplexity"].compute()) == pytest.approx(math.exp(expected / scored), abs=1e-9)


@torch.no_grad()
def test_more_before_a_token_is_what_a_stride_is_for(encoded):
    without, with_stride = (WindowExamples(encoded, 16, circular=False, whole=True, stride=stride) for stride in (None, 4))
    assert len(with_stride.lengths) >= 3 * len(without.lengths)
    assert (batch_of(without)["targets"] != IGNORED).sum() == (batch_of(with_stride)["targets"] != IGNORED).sum()


def test_an_epoch_of_isolated_documents_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(LINES))
    source = files(FORMAT, Part("batches/packed", rows=1, isolated=True), train=str(path), validation_share=0)
    prepared = prepare(source, BytesTokenizer(), FORMAT, max_length=16)
    loader, resumed = prepared.loader("train", seed=3), prepared.loader("train", seed=3)
    loader.steps.set_epoch(1)
    batches = list(loader)
    assert any("documents" in batch for batch in batches)
    resumed.start_at(1, 2)
    for left, right in zip(batches[2:], resumed, strict=True):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left if isinstance(left[name], torch.Tensor))
