"""Ranges: every option that takes a number refuses the numbers that mean nothing for it, by a rule of its class.

The test goes through the catalogue, so it finds a new option without a range. `MEANINGFUL` lists by name what has a meaning all the same.
"""

import copy
import random
from functools import cache

import pytest

from framework.config import catalogue as index
from framework.config.compose import checked, compose
from framework.config.constraints import Tree, default_node, is_node
from framework.config.validate import fits, problems
from framework.data.formats import Format
from framework.errors import UserError
from framework.registry import broken, build
from framework.registry.rules import names_in
from framework.workflows.preflight import check_options

pytestmark = pytest.mark.hydra  # also with a newer one: make test-hydra

CONFIGS = [
    ["task=classification", "data=files", "data.train=a.csv", "logger=wandb", "model/adapter=lora"],
    ["task=translation", "model=encoder_decoder"],
    ["task=completion", "model=decoder_only", "data/batches=packed"],
    ["task=pretraining", "task/format=masked", "model=encoder_only"],
]


@cache
def configs():
    return [compose([*words, "tokenizer=bytes"]).config for words in CONFIGS]


def slots(config):
    """Every slot of a config, filled or not: path and kind. The innermost come last."""

    def below(node, path):
        for slot, entry in index.load().option(node["part"])["slots"].items():
            yield (*path, slot), entry["kind"]
            if is_node(node.get(slot)):
                yield from below(node[slot], (*path, slot))

    groups = [group for group, node in config.items() if is_node(node)]
    return sorted(
        [((group,), group) for group in groups] + [slot for group in groups for slot in below(config[group], (group,))],
        key=lambda slot: len(slot[0]),
    )


@cache
def placed(part):
    """A config with a part in it, and its path: in its default place where it has one, else in a slot of its kind."""
    kind = part.partition("/")[0]
    if kind in ("callback", "tracker"):
        path = ({"callback": "callbacks", "tracker": "logger"}[kind], "mine")
        return put(configs()[0], path, default_node(part, index.load())), path
    found = [(config, path) for config in configs() for path, there in slots(config) if there == kind]
    chosen = [(config, path) for config, path in found if (at(config, path) or {}).get("part") == part]
    if chosen:
        return chosen[-1]
    config, path = found[-1]
    return put(config, path, default_node(part, index.load())), path


def at(config, path):
    for key in path:
        config = (config or {}).get(key)
    return config


def put(config, path, node):
    config = copy.deepcopy(config)
    at(config, path[:-1])[path[-1]] = node
    return config


def tree(config, path):
    """The part at a path, as the rules see it."""
    found = Tree("", config, index.load())
    for key in path:
        found = next(child for child in found.children if child.slot == key or child.path == key or child.path.endswith(f".{key}"))
    return found


def numeric():
    """Every option that takes a number: part, option, its type."""
    for kind, names in index.load().options.items():
        for name, entry in names.items():
            for option, field in entry["fields"].items():
                if fits(8, field["type"]) or fits(0.7, field["type"]) or fits([0.7], field["type"]):
                    yield f"{kind}/{name}", option, field["type"]


# What a number outside the usual range means. By the name of the option: parts that share a name share its meaning.
MEANINGFUL = {
    -1: {"beta2_decay", "devices", "length_penalty", "max_epochs", "max_steps", "num_sanity_val_steps"},
    -0.5: {"beta2_decay", "length_penalty"},
    0: {
        *(
            "dropout",
            "weights_dropout",
            "inner_dropout",
            "token_dropout",
            "word_dropout",
            "label_smoothing",
            "ngrams",
            "lexicon",
            "word_features",
        ),
        *(
            "momentum",
            "dampening",
            "weight_decay",
            "warmup",
            "floor",
            "soft",
            "hidden",
            "hard",
            "length_penalty",
            "seed",
            "slow",
            "shift",
            "further_tokens",
        ),
        *("masked", "random", "share", "max_inexact", "max_ratio", "min_delta", "validation_share", "test_share"),  # of them none
        *(
            "offset",
            "segments",
            "shared_experts",
            "overlap",
            "skip",
            "start",
            "workers",
            "patience",
            "min_new_tokens",
            "min_epochs",
            "min_steps",
        ),
        *("validation_rows", "test_rows", "limit_val_batches", "limit_test_batches", "limit_predict_batches", "overfit_batches"),
        *(
            "fast_dev_run",
            "num_sanity_val_steps",
            "log_every_n_steps",
            "lr",
            "trial",
            "predictions",
            "balance_loss",
            "z_loss",
            "stochastic_depth",
        ),
    },
    1.5: {
        *(
            "alpha",
            "beta",
            "scale",
            "base",
            "local_base",
            "factor",
            "slow",
            "fast",
            "initial_std",
            "output_scale",
            "length_penalty",
            "temperature",
        ),
        *("growth", "min_delta", "soft", "hidden", "hard", "lr", "d", "weight_decay", "head_lr_multiplier", "gradient_clip_val", "span"),
        *(
            "builtin_megabytes",
            "max_ratio",
            "logit_cap",
            "output_cap",
            "balance_loss",
            "z_loss",
            "limit",
            "shift",
            "further_weight",
            "threshold",
        ),
    },
    1e30: {
        *("alpha", "scale", "base", "local_base", "factor", "fast", "output_scale", "temperature", "growth", "min_delta", "soft", "hidden"),
        *("hard", "d", "gradient_clip_val", "builtin_megabytes", "max_ratio", "logit_cap", "output_cap", "limit"),
    },
}


def refused(part, option, value):
    """Whether a rule of a part that names the option refuses a value, or the constructor of a source."""
    config, path = placed(part)
    here = tree(config, path)
    names = {**here.values, "provided": here.provided(), option: value}
    rules = {rule: why for rule, why in here.declared.get("rules", {}).items() if option in names_in(rule)}
    if reasons := broken(rules, names):
        assert all(option in reason and f"{option}={value}" in reason for reason in reasons)
        return True
    if part.startswith("data/"):
        try:
            build({**here.node, option: value}, format=type("AnyFormat", (Format,), {"columns": ("text",)})(), seed=0)
        except UserError as error:
            return f"{option}={value}" in str(error)
    return False


@pytest.mark.parametrize("value", MEANINGFUL)
def test_a_number_that_means_nothing_is_refused(value):
    took = {option for part, option, kind in numeric() if fits(value, kind) and not refused(part, option, value)}
    assert took == MEANINGFUL[value]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2**63, 10**30, -(2**64)])
def test_no_option_takes_a_number_that_cannot_be_computed_with(value):
    for part, option, kind in numeric():
        if fits(value, kind):
            config, path = placed(part)
            wrong = list(problems(put(config, (*path, option), value), index.load()))
            assert len(wrong) == 1 and f"{'.'.join(path)}.{option}: {value}" in wrong[0]


@pytest.mark.parametrize("value", ["text", [[1]], {"a": {"b": 1}}, True])
def test_no_option_of_a_number_takes_another_type(value):
    took = {option for _, option, kind in numeric() if fits(value, kind)}
    assert took == {
        "text": {"devices", "val_check_interval"},  # with a rule for its texts
        "True": {"fast_dev_run"},
        "[[1]]": {"layers"},  # with a grammar of its own
        "{'a': {'b': 1}}": {"layers"},
    }.get(str(value), set())


def cases():
    """Every option of every part with every value of the list, placed in a config; the order is that of a fixed seed."""
    values = (-1, 0, 1, 1.5, 3, 0.25, 1e30, 2**40, "text", None, [1, 2], {"a": 1}, "")
    found = [(part, option, value) for part, option, kind in options() for value in values if fits(value, kind)]
    random.Random(0).shuffle(found)
    return found


def options():
    """Every option but the names of files, runs and published models: part, option, its type."""
    elsewhere = ("pretrained", "teacher", "reference", "weights", "init_layers", "file", "folder", "freeze", "target_modules")
    for kind, names in index.load().options.items():
        for name, entry in names.items():
            for option, field in entry["fields"].items():
                if option not in elsewhere:
                    yield f"{kind}/{name}", option, field["type"]


def tried(part, option, value):
    """Whether a value passes the rules. It is built then, which may end in a UserError alone."""
    config, path = placed(part)
    config = put(config, (*path, option), value)
    try:
        check_options(checked(config, []))
    except UserError as error:
        assert len(str(error).splitlines()) <= 6
        return False
    return True


def test_a_value_that_the_rules_take_is_built_or_refused():
    found = cases()
    assert len(found) > 1500
    assert sum(tried(*case) for case in found[:30]) > 5


@pytest.mark.whole
def test_every_value_that_the_rules_take_is_built_or_refused():
    for case in cases():
        tried(*case)
