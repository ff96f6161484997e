"""A comparison in words: a table of variants, one of their differences, and what they say."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from framework.comparing import tables
from framework.comparing.comparison import Comparison, Pair
from framework.comparing.significance import ALPHA, Assessment
from framework.comparing.variants import Variant, shown

PAIRS = 20  # that are shown, those with the best variant first


def text(found: Comparison) -> str:
    """For the terminal."""
    return "\n".join(lines(found, tables.terminal))


def markdown(found: Comparison) -> str:
    return "\n".join(lines(found, tables.markdown)) + "\n"


def comma_separated(found: Comparison) -> str:
    """A row for each variant, its figure of each seed and its difference from the best, in full precision."""
    counted = _counted(found)
    head = [*(found.columns or ["variant"]), counted, f"{found.metric} mean", f"sd over {counted}", "low", "high", "best"]
    head += ["difference from best", "difference low", "difference high", "p", "adjusted p", "parameters", "CPU-seconds", "tokens", "runs"]
    rows = []
    for place, variant in enumerate(found.variants):
        trainings, between, pair = found.trainings[place], found.intervals[place], _to_best(found, place)
        test = None if pair is None else pair.test
        sign = 1 if pair is None or pair.one == place else -1
        ends = sorted(sign * end for end in test.interval) if test else []
        numbers = [trainings.mean, trainings.deviation, *(between or (math.nan, math.nan))]
        beside = [sign * test.difference, *ends, test.p, pair.adjusted] if test and pair else [math.nan] * 5
        cells = [_plain(number) for number in numbers], [_plain(number) for number in beside]
        costs = [cell.replace(",", "") for cell in _costs(variant)]
        names = " ".join(run.name for run in variant.runs)
        best = str(place == found.best).lower()
        rows.append([*_labels(variant), str(len(variant.runs)), *cells[0], best, *cells[1], *costs, names])
    return tables.comma_separated(head, rows)


def lines(found: Comparison, table: Callable[..., list[str]]) -> list[str]:
    """The comparison in lines. table: of `tables`, or one like them."""
    name = found.metric
    head = [*(found.columns or ["variant"]), _counted(found), name, "sd", "95 %", "from best", "95 %", "p", "parameters", "CPU-s", "tokens"]
    rows = []
    for place, variant in enumerate(found.variants):
        trainings, between, pair = found.trainings[place], found.intervals[place], _to_best(found, place)
        value = f"{trainings.mean:.4f}{' *' if place == found.best else '  '}"
        spread = "" if math.isnan(trainings.deviation) else f"{trainings.deviation:.4f}"
        around = "" if between is None else f"{between[0]:.4f} to {between[1]:.4f}"
        rows.append([*_labels(variant), str(len(variant.runs)), value, spread, around, *_difference(pair, place), *_costs(variant)])
    texts = len(found.columns) or 1
    made = [*table(head, rows, texts), ""]
    others = [pair for pair in found.pairs if found.best not in (pair.one, pair.other) and pair.test is not None]
    if others:
        cells = [[_name(found, pair.one), _name(found, pair.other), *_difference(pair, pair.one)] for pair in others[:PAIRS]]
        made += [*table(["variant", "from", "difference", "95 %", "p"], cells, 2), ""]
        if len(others) > PAIRS:
            made += [f"{len(others) - PAIRS} more pairs are not shown", ""]
    return [*made, *conclusions(found)]


def _to_best(found: Comparison, place: int) -> Pair | None:
    return next((pair for pair in found.pairs if {pair.one, pair.other} == {place, found.best} and place != found.best), None)


def _difference(pair: Pair | None, place: int) -> list[str]:
    """Difference, interval and adjusted p-value of a pair, of the variant at this place from the other."""
    if pair is None or pair.test is None:
        return ["", "", ""]
    sign = 1 if pair.one == place else -1
    low, high = sorted(sign * end for end in pair.test.interval)
    p = f"{pair.adjusted:.4f}" if pair.adjusted >= 0.001 else "<0.001"
    return [f"{sign * pair.test.difference:+.4f}", f"{low:+.4f} to {high:+.4f}", p]


def _labels(variant: Variant) -> list[str]:
    return [shown(value) for value in variant.values] or [variant.label]


def _name(found: Comparison, place: int) -> str:
    return found.variants[place].label


def _costs(variant: Variant) -> list[str]:
    """Parameters, CPU-seconds and trained tokens of a run, on the mean over seeds; empty where that is not recorded."""
    return [
        "" if any(key not in run.notes for run in variant.runs) else f"{fmean(run.notes[key] for run in variant.runs):,.0f}"
        for key in _COSTS
    ]


_COSTS = ("parameters", "cpu_seconds", "trained_tokens")


def _plain(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.6g}"


def conclusions(found: Comparison) -> list[str]:
    """Sentences: which differences are more than noise, and what would tell the others apart."""
    lines = [*found.remarks]
    tested = [(pair, pair.test) for pair in found.pairs if pair.test is not None]
    apart = len(found.pairs) - len(tested)
    if apart:
        lines.append(f"{apart} of {len(found.pairs)} pairs have no rows in common, or too few seeds: their figures are not tested")
    if not tested:
        return lines
    lines.append(f"{_sample(found, [test for _, test in tested])}{_adjusted(len(tested))}:")
    won: dict[int, list[str]] = {}  # better variant -> those that it is better than
    for pair, test in sorted(tested, key=lambda each: -abs(each[1].difference)):
        if pair.differs:
            better, worse = (pair.one, pair.other) if (test.difference > 0) != found.lower else (pair.other, pair.one)
            won.setdefault(better, []).append(f"{_name(found, worse)} (by {abs(test.difference):.4f})")
    lines += [f"  {_name(found, better)} is better than {'; '.join(others)}" for better, others in won.items()]
    unclear = [(pair, test) for pair, test in tested if not pair.differs]
    if unclear:
        count = (
            "no difference is"
            if len(unclear) == len(tested)
            else "the other differences are not"
            if len(unclear) > 1
            else "the other difference is not"
        )
        lines.append(f"  {count} more than noise" + _advice(found, unclear))
    if not any(test.trainings for _, test in tested):
        lines.append(
            "  seeds were not compared: this is about these trained models; whether the variants differ, runs with seed=0,1,2 tell"
        )
    return lines


def _sample(found: Comparison, tests: Sequence[Assessment]) -> str:
    counts = sorted({len(each.values) for each in found.trainings})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    counted = _counted(found) if counts != [1] else _counted(found).removesuffix("s")
    rows = f"{found.rows:,} rows" if found.rows else "the rows of each"
    return f"at the level of {ALPHA:.0%}, by {rows} and {number} {counted}"


def _counted(found: Comparison) -> str:
    """Name of the trainings of a variant by what they differ in: seeds, or the folds of a cross-validation, perhaps with seeds."""
    folds = {run.fold for variant in found.variants for run in variant.runs}
    seeds = {run.seed for variant in found.variants for run in variant.runs}
    return "seeds" if folds == {None} else "folds" if len(seeds) == 1 else "trainings"


def _adjusted(count: int) -> str:
    return f", for {count} comparisons (Holm)" if count > 1 else ""


def _advice(found: Comparison, unclear: Sequence[tuple[Pair, Assessment]]) -> str:
    """About how many seeds would tell variants apart whose difference is as large as it now looks."""
    clauses = []
    for pair, test in unclear[:3]:
        names = f"{_name(found, pair.one)} and {_name(found, pair.other)}"
        if test.seeds is not None:
            clauses.append(f"about {test.seeds} seeds would tell {names} apart, if they differ by {abs(test.difference):.4f}")
        elif test.test_rows > 1:
            clauses.append(f"{names} need about {test.test_rows:.1g} times as many test rows, whatever the number of seeds")
    return "".join(f"; {clause}" for clause in clauses)
