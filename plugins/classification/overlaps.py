"""Overlaps of two texts, by the ids of their tokens.

Shapes: B pairs, T tokens, N n-grams of a pair, K overlaps.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .hashes import hashed_ngrams, mixed

CONSTANT = 1e-6  # a smaller standard deviation is that of equal numbers
FURTHEST = 5.0  # standard deviations of an overlap from its mean, at most
ALIGNED = 8  # tokens of each text alone, the first ones, that are paired
NOWHERE = 2**31  # the place of a token that is not there; sizes are none, because an exported program has them unknown
BOTH = 2  # the mark of an n-gram of both texts, where one of a single text has the number of its text


class Pairs:
    """n-grams of tokens of two texts, and which of them both have.

    ids, padding_mask, segments: (B, T); segments: 0 in the first text, 1 in the second. special: ids that separate texts.
    order: tokens of the longest n-grams.
    """

    def __init__(self, ids: Tensor, padding_mask: Tensor, segments: Tensor, special: tuple[int, ...], order: int):
        self.segments = segments
        self.tokens = padding_mask
        for id in special:
            self.tokens = self.tokens & (ids != id)
        self.hashes, self.present, self.first, self.shared = [], [], [], []  # of each order (B, T)
        earlier = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril(-1)
        same_text = segments[:, :, None] == segments[:, None, :]  # (B, T, T)
        for hashes, present in hashed_ngrams(ids, self.tokens, order):
            equal = (hashes[:, :, None] == hashes[:, None, :]) & present[:, :, None] & present[:, None, :]
            self.hashes.append(hashes)
            self.present.append(present)
            self.first.append(present & ~(equal & same_text & earlier).any(dim=2))  # each n-gram of a text once
            self.shared.append((equal & ~same_text).any(dim=2))

    def features(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Hashes (B, N) of n-grams of both texts, of the first or of the second alone, and of pairs of a token of the first alone and one
        of the second alone; whether each is there. Cross-unigrams: Bowman et al. 2015, section 4.1, https://aclanthology.org/D15-1075"""
        for hashes, present, shared in zip(self.hashes, self.present, self.shared, strict=True):
            yield mixed(hashes, self.segments.masked_fill(shared, BOTH)), present
        alone = self.first[0] & ~self.shared[0]
        (one, one_there), (other, other_there) = (self._leading(alone & (self.segments == side)) for side in (0, 1))
        yield mixed(one[:, :, None], other[:, None, :] + BOTH + 1).flatten(1), (one_there[:, :, None] & other_there[:, None, :]).flatten(1)

    def overlaps(self, rarity: Tensor) -> Tensor:
        """(B, K), K = 8 * order + 4. Of the different n-grams of each length, the share of the first text's that the second has, the
        reverse, and the Jaccard index, all three also weighted by rarity, and the logarithm of how many each text has alone; then the
        logarithm of the ratio of the texts' lengths and its size, whether all tokens are shared, and whether the first one is. Overlaps
        of n-grams: Šarić et al. 2012, section 3, https://aclanthology.org/S12-1060

        rarity: inverse document frequency by hash.
        """
        columns = []
        for hashes, first, shared in zip(self.hashes, self.first, self.shared, strict=True):
            sizes = []
            for weight in (torch.ones_like(rarity[:1]), rarity):
                values = weight[hashes % len(weight)] * first  # (B, T)
                one, other = ((values * (self.segments == side)).sum(dim=1) for side in (0, 1))
                common = (values * shared * (self.segments == 0)).sum(dim=1)
                columns += [ratio(common, one), ratio(common, other), ratio(common, one + other - common)]
                sizes.append((one - common, other - common))
            columns += [size.log1p() for size in sizes[0]]
        lengths = [(self.tokens & (self.segments == side)).sum(dim=1).to(rarity.dtype) for side in (0, 1)]
        log_ratio = lengths[0].log1p() - lengths[1].log1p()
        same = ((self.first[0] & ~self.shared[0]).sum(dim=1) == 0).to(rarity.dtype)
        (one, _), (other, _) = (self._leading(self.tokens & (self.segments == side), 1) for side in (0, 1))
        return torch.stack([*columns, log_ratio, log_ratio.abs(), same, (one == other)[:, 0].to(rarity.dtype)], dim=1)

    def _leading(self, chosen: Tensor, most: int = ALIGNED) -> tuple[Tensor, Tensor]:
        """The hashes of the first chosen tokens, (B, most), and whether there are as many."""
        places = torch.arange(chosen.shape[1], device=chosen.device).masked_fill(~chosen, NOWHERE)  # (B, T)
        places = pad(places.sort(dim=1).values, (0, most), value=NOWHERE)[:, :most]
        there = places < NOWHERE
        return self.hashes[0].gather(1, places.masked_fill(~there, 0)).masked_fill(~there, 0), there


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """0 where the whole is."""
    return part / whole.masked_fill(whole == 0, 1.0)


class Overlaps(nn.Module):
    """The overlaps of pairs, in standard deviations of the training pairs from their mean.

    order: tokens of the longest n-grams. buckets: rows of the table of inverse document frequencies.
    """

    rarity: Tensor  # (buckets,)
    mean: Tensor  # (K,)
    deviation: Tensor  # (K,)

    def __init__(self, order: int, buckets: int):
        super().__init__()
        self.count = 8 * order + 4
        self.register_buffer("rarity", torch.ones(buckets))
        self.register_buffer("mean", torch.zeros(self.count))
        self.register_buffer("deviation", torch.ones(self.count))

    def forward(self, pairs: Pairs) -> Tensor:
        """(B, K)."""
        return ((pairs.overlaps(self.rarity) - self.mean) / self.deviation).clamp(-FURTHEST, FURTHEST)

    def fit(self, batches: list[Pairs]) -> Tensor:
        """Fits them to the training pairs, whose overlaps it returns: (R, K)."""
        occurs, texts = torch.zeros_like(self.rarity), 0
        for pairs in batches:
            for row, side in ((row, side) for row in range(len(pairs.segments)) for side in (0, 1)):
                chosen = pairs.segments[row] == side
                for hashes, first in zip(pairs.hashes, pairs.first, strict=True):
                    occurs[hashes[row][first[row] & chosen] % len(occurs)] += 1
                texts += 1
        self.rarity.copy_(((1 + texts) / (1 + occurs)).log() + 1)
        overlaps = torch.cat([pairs.overlaps(self.rarity) for pairs in batches])
        deviation = overlaps.std(dim=0, correction=0)
        self.mean.copy_(overlaps.mean(dim=0))
        self.deviation.copy_(deviation.masked_fill(deviation < CONSTANT, 1.0))
        return torch.cat([self(pairs) for pairs in batches])
