"""n-grams of target tokens against their formula, in the loss and in generated texts."""

from collections import Counter

import pytest
import torch

from framework.tasks.target_ngrams import DISCOUNT, TargetNgrams
from tests.translation.test_task import PAIRS, SPEC, batch_of, decode, make, scores

V, START, TEXTS = 13, 1, [[4, 5, 4, 5, 6, 2], [4, 5, 6, 2], [7, 4, 5, 4, 2]]


def expected(prefix: list[int], longest: int, left_out: int | None = None) -> list[float]:
    """Probabilities of the token after a prefix, by counting in TEXTS."""
    padded = [[START] * longest + text for text in TEXTS]
    tokens = Counter(token for text in TEXTS for token in text)
    tokens[left_out] -= left_out is not None
    found = [(tokens[token] + 1) / (sum(tokens.values()) + V) for token in range(V)]
    for length in range(1, longest):
        context = ([START] * longest + prefix)[-length:]
        after = Counter(text[end] for text in padded for end in range(longest, len(text)) if text[end - length : end] == context)
        after[left_out] -= left_out is not None and after[left_out] > 0
        if total := sum(after.values()):
            kept = {token: max(count - DISCOUNT, 0) for token, count in after.items()}
            found = [kept.get(token, 0) / total + (1 - sum(kept.values()) / total) * found[token] for token in range(V)]
    return found


def counted(longest: int, entries: int = 64) -> TargetNgrams:
    ngrams = TargetNgrams(V, longest, entries).double()
    ngrams.count((ngrams.keys(torch.tensor([[START, *text[:-1]]]))[0], torch.tensor(text)) for text in TEXTS)
    return ngrams


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("longest", [2, 3, 4])
def test_probabilities_are_interpolated_by_absolute_discounting(longest: int, training: bool) -> None:
    ngrams = counted(longest)
    for text in [*TEXTS, [9, 4, 5, 6, 2]] if not training else TEXTS:
        found = ngrams.log_probabilities(ngrams.keys(torch.tensor([[START, *text[:-1]]]))[0], torch.tensor(text) if training else None)
        rows = [expected(text[:end], longest, text[end] if training else None) for end in range(len(text))]
        assert torch.allclose(found.exp(), torch.tensor(rows, dtype=torch.float64))
        assert torch.allclose(found.exp().sum(1), torch.ones(len(text), dtype=torch.float64))


def test_the_most_frequent_ngrams_are_kept() -> None:
    ngrams = counted(2, entries=2)
    assert sorted(zip(ngrams.contexts.tolist(), ngrams.tokens.tolist(), ngrams.counts.tolist(), strict=True)) == [(2, 4, 2.0), (5, 5, 4.0)]
    assert torch.allclose(ngrams.log_probabilities(ngrams.keys(torch.tensor([[5], [7]]))[:, 0]).exp().sum(1), torch.ones(2).double())


@torch.no_grad()
def test_they_are_added_to_the_logits_of_the_loss_and_of_generated_texts() -> None:
    task, plain = make(label_smoothing=0.0, ngrams=3, ngram_entries=64), make(label_smoothing=0.0)
    task.set_initial_weights((), [batch_of(*PAIRS[:2]), batch_of(PAIRS[2])])
    assert int(task.ngrams.counts.sum()) == 18  # two contexts of nine tokens
    task.ngrams.weight.fill_(2.0)

    def logits(source: list[int], target: list[int]) -> torch.Tensor:
        keys = task.ngrams.keys(torch.tensor([[START, *target[:-1]]]))[0]
        return scores(plain, source, target) + 2.0 * task.ngrams.log_probabilities(keys)

    rows = [logits(*pair).log_softmax(-1) for pair in PAIRS]
    assert torch.allclose(task(batch_of(*PAIRS)).output.logits.log_softmax(-1), torch.cat(rows))
    for (source, _), row in zip(PAIRS, task.predict(batch_of(*PAIRS, targets=False), decode()), strict=True):
        ids: list[int] = []
        while len(ids) < 8 and ids[-1:] != [SPEC.end]:
            ids.append(int(logits(source, [*ids, SPEC.end])[-1].argmax()))
        assert row["prediction"] == " ".join(str(id) for id in ids if id != SPEC.end)
