"""The linear chain against all its sequences written out, and the heads that use it."""

from itertools import product
from math import exp, log

import pytest
import torch

from framework.registry import Part
from plugins.ner.chain import Chain, Posterior
from plugins.ner.heads import CrfTagHead, SoftmaxTagHead
from plugins.ner.schemes import entities, parse, tags_of, write

LENGTHS = (4, 1, 3)


def make_chain(tags=3, seed=0):
    random = torch.Generator().manual_seed(seed)
    scores, step, start, end = (torch.randn(*shape, generator=random).double() for shape in ((3, 4, tags), (tags, tags), (tags,), (tags,)))
    return Chain(scores, step, start, end, torch.arange(4) < torch.tensor(LENGTHS)[:, None])


def score(chain, row, path):
    chain = Chain(*(value.detach() for value in (chain.scores, chain.step, chain.start, chain.end, chain.padding_mask)))
    total = chain.start[path[0]] + chain.end[path[-1]] + sum(chain.scores[row, word, tag] for word, tag in enumerate(path))
    return float(total + sum(chain.step[one, other] for one, other in zip(path, path[1:], strict=False)))


def every(chain, row):
    """(path, score) of all sequences of a row."""
    return [(path, score(chain, row, path)) for path in product(range(chain.scores.shape[-1]), repeat=LENGTHS[row])]


def test_the_partition_is_the_sum_over_all_sequences():
    chain = make_chain()
    for row, found in enumerate(chain.log_partition().tolist()):
        assert found == pytest.approx(log(sum(exp(value) for _, value in every(chain, row))))


def test_the_score_of_sequences():
    chain = make_chain()
    paths = [(0, 2, 1, 1), (2,), (1, 0, 2)]
    padded = torch.tensor([[*path, *[0] * (4 - len(path))] for path in paths])
    assert chain.score(padded).tolist() == pytest.approx([score(chain, row, path) for row, path in enumerate(paths)])


@pytest.mark.parametrize("seed", range(5))
def test_the_best_sequence_is_the_best_of_all(seed):
    chain = make_chain(seed=seed)
    assert chain.best() == [list(max(every(chain, row), key=lambda pair: pair[1])[0]) for row in range(3)]


@pytest.mark.parametrize(
    ("row", "start", "path"), [(0, 0, [1]), (0, 1, [2, 0]), (0, 2, [1, 1]), (1, 0, [2]), (2, 0, [0, 1, 2]), (2, 1, [1])]
)
def test_a_probability_is_the_share_of_the_sequences_that_have_it(row, start, path):
    chain, behind = make_chain(), torch.tensor([True, False, True])
    stop = start + len(path)

    def has(sequence):
        return list(sequence[start:stop]) == path and (stop == len(sequence) or behind[sequence[stop]])

    shares = [(has(sequence), exp(value)) for sequence, value in every(chain, row)]
    expected = sum(share for good, share in shares if good) / sum(share for _, share in shares)
    assert Posterior(chain).probability(row, start, path, behind) == pytest.approx(expected)


def make_head(head, scheme, types=("a", "b"), **dtype):
    torch.manual_seed(0)
    return Part(head)(dim=5, tags=tags_of(types, scheme), scheme=scheme).to(**(dtype or {"dtype": torch.float64}))


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
@pytest.mark.parametrize("head", [SoftmaxTagHead, CrfTagHead])
@pytest.mark.parametrize("size", [1.0, 1e6])
def test_nothing_illegal_is_ever_decoded(head, scheme, size):
    made = make_head(head, scheme)
    names = tags_of(("a", "b"), scheme)
    scores = size * torch.randn(200, 6, len(names), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    padding_mask = torch.arange(6) < torch.randint(1, 7, (200, 1), generator=torch.Generator().manual_seed(4))
    for row, path in enumerate(made.chain(scores, padding_mask).best()):
        tags = [names[tag] for tag in path]
        assert len(tags) == padding_mask[row].sum()
        assert write(entities(map(parse, tags)), len(tags), scheme) == tags


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
def test_the_loss_of_a_crf_is_that_of_the_legal_sequences_alone(scheme):
    head, names = make_head(CrfTagHead, scheme, ["a"]), tags_of(["a"], scheme)
    torch.nn.init.normal_(head.step)
    torch.nn.init.normal_(head.ends)
    chain = make_chain(len(names))
    steps = Chain(chain.scores, head.step, *head.ends, chain.padding_mask)
    gold = {"iob2": ["B-a I-a O B-a", "O", "O B-a I-a"], "iobes": ["B-a E-a O S-a", "O", "S-a B-a E-a"]}[scheme]
    expected = 0.0
    for row, tags in enumerate(gold):
        path = [names.index(tag) for tag in tags.split()]
        legal = [
            value
            for path, value in every(steps, row)
            if write(entities(parse(names[tag]) for tag in path), len(path), scheme) == [names[tag] for tag in path]
        ]
        expected += log(sum(map(exp, legal))) - score(steps, row, path)
    targets = torch.tensor([[*(names.index(tag) for tag in tags.split()), *[0] * (4 - len(tags.split()))] for tags in gold])
    assert head.loss(chain.scores, targets, chain.padding_mask).item() == pytest.approx(expected)


def test_the_loss_of_a_softmax_is_the_sum_of_its_words():
    head, chain = make_head(SoftmaxTagHead, "iob2", ["a"]), make_chain()
    tags = torch.tensor([[0, 1, 2, 0], [1, 0, 0, 0], [1, 2, 2, 0]])
    by_hand = -sum(chain.scores.log_softmax(-1)[row, word, tags[row, word]] for row in range(3) for word in range(LENGTHS[row]))
    assert head.loss(chain.scores, tags, chain.padding_mask).item() == pytest.approx(by_hand.item())


@pytest.mark.parametrize("head", [SoftmaxTagHead, CrfTagHead])
def test_a_word_without_a_piece_is_outside_and_learns_nothing(head):
    made = make_head(head, "iob2")
    states = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    unaligned = torch.tensor([[False, True, False], [False, False, False]])
    padding_mask = torch.ones(2, 3, dtype=torch.bool)
    scores = made(states, unaligned)
    assert made.chain(scores, padding_mask).best()[0][1] == 0
    made.loss(scores, torch.tensor([[1, 0, 3], [0, 1, 2]]), padding_mask).backward()
    assert states.grad.isfinite().all()
    assert states.grad[0, 1].abs().sum() == 0 < states.grad[0, 0].abs().sum()


@pytest.mark.parametrize("head", [SoftmaxTagHead, CrfTagHead])
def test_losses_are_summed_in_float32_under_autocast(head):
    made = make_head(head, "iob2", dtype=torch.float32)
    states, padding_mask = torch.randn(4, 60, 5), torch.ones(4, 60, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = made(states, ~padding_mask)
        loss = made.loss(scores, torch.zeros(4, 60, dtype=torch.long), padding_mask)
    assert scores.dtype == loss.dtype == torch.float32
    assert loss.item() == pytest.approx(made.loss(scores.detach(), torch.zeros(4, 60, dtype=torch.long), padding_mask).item(), rel=1e-5)
