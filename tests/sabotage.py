"""One-line breakages of the core and of parts, each in a copy: the suite must turn red. `pytest -m sabotage tests/sabotage.py`."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.sabotage
ROOT = Path(__file__).parents[1]
TREE = ("framework", "plugins", "conf", "tests", "train.py", "pyproject.toml")


class Breakage(NamedTuple):
    """One line of a file, what it becomes, and the tests that must notice: each of them."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


BREAKAGES = {
    "mask off by one": Breakage(
        "framework/parts/masks.py",
        "allowed = key <= query if self.causal",
        "allowed = key <= query + 1 if self.causal",
        ("tests/parts/test_kernel.py::test_a_mask_is_what_its_sentence_says",),
    ),
    "padding dropped from cross-attention": Breakage(
        "framework/parts/decoders.py",
        "encoder_mask = Mask(x.shape[1], source.encoder_length, padding_mask=source.encoder_padding_mask, device=x.device)",
        "encoder_mask = Mask(x.shape[1], source.encoder_length, padding_mask=None, device=x.device)",
        ("tests/parts/test_parity.py::test_the_decoder_is_torchs", "tests/translation/test_task.py"),
    ),
    "rotary offset in cached decoding": Breakage(
        "framework/parts/caches.py",
        "return make_positions(ids) + self.length",
        "return make_positions(ids)",
        ("tests/generation/test_engine.py::test_greedy_is_the_plain_loop_with_a_source",),
    ),
    "a row served twice": Breakage(
        "framework/data/batches.py",
        "waiting = waiting[full:]",
        "waiting = waiting[max(full - 1, 0) :]",
        ("tests/data/test_batches.py::test_every_row_exactly_once_in_every_epoch",),
    ),
    "loss averaged per rank": Breakage(
        "framework/training/global_mean.py",
        'self.trainer.strategy.reduce(torch.cat([*pairs, _signals(device, self.dtype)]), reduce_op="sum")',
        "torch.cat([*pairs, _signals(device, self.dtype)])",
        ("tests/training/test_processes.py::test_ddp_is_one_process",),
    ),
    "optimizer state not restored": Breakage(
        "framework/training/checkpoint_files.py",
        "torch.save(checkpoint, file)",
        'torch.save({**checkpoint, "optimizer_states": [{**s, "state": {}} for s in checkpoint["optimizer_states"]]}, file)',
        ("tests/training/test_resume.py::test_stopped_anywhere",),
    ),
    "decay on norms": Breakage(
        "framework/training/groups.py",
        '"weight_decay": weight_decay if decays else 0.0}',
        '"weight_decay": weight_decay}',
        ("tests/training/test_optimizers.py::test_matrices_decay_and_norms_and_biases_do_not",),
    ),
    "metric not reset": Breakage(
        "framework/training/learner.py",
        "self._evaluation = Evaluation(",
        'self._evaluation = getattr(self, "_evaluation", None) or Evaluation(',
        ("tests/training/test_learner.py::test_validation_metrics_are_of_all_rows_and_fresh_each_time",),
    ),
    "label shift": Breakage(
        "plugins/completion/shift.py",
        "following = pad(ids.cut(1), spec.padding, width)",
        "following = pad(_inputs(ids), spec.padding, width)",
        ("tests/completion/test_format.py::test_targets_are_the_next_tokens",),
    ),
    "finish skipped": Breakage(
        "framework/tracking/base.py",
        "tracker.finish(exit_code)",
        "pass",
        ("tests/integration/test_run_folder.py::test_a_failed_run_is_reported_as_failed",),
    ),
    "scores without the cap's scale": Breakage(
        "framework/parts/attention/kernels.py",
        "scores = logit_cap * torch.tanh(scores / logit_cap)",
        "scores = torch.tanh(scores / logit_cap)",
        ("tests/parts/test_attention_kernels.py::test_a_cap_and_sinks_are_in_the_formula",),
    ),
    "sinks on the wrong side": Breakage(
        "framework/parts/attention/kernels.py",
        "scores.logsumexp(-1, keepdim=True) - sinks[:, None, None]",
        "scores.logsumexp(-1, keepdim=True) + sinks[:, None, None]",
        ("tests/parts/test_attention_kernels.py::test_a_cap_and_sinks_are_in_the_formula",),
    ),
    "the shared key of latent attention is not rotated": Breakage(
        "framework/parts/attention/latent.py",
        "return self.norm(latent), layout.apply_rotary(key)",
        "return self.norm(latent), key",
        ("tests/parts/test_attentions.py::test_latent_attention_is_that_of_deepseek_v2",),
    ),
    "the memory of the delta rule is kept whole between chunks": Breakage(
        "framework/parts/attention/gated_delta.py",
        "memory = memory * total[:, :, n, -1, None, None].exp() + key",
        "memory = memory + key",
        ("tests/parts/test_attentions.py::test_chunks_of_the_delta_rule_are_its_steps",),
    ),
    "a convolution across documents": Breakage(
        "framework/parts/attention/gated_delta.py",
        "shifted = shifted * (documents == earlier)[..., None]",
        "shifted = shifted * (earlier == earlier)[..., None]",
        ("tests/parts/test_attentions.py::test_the_convolution_is_torchs_and_stays_in_a_document",),
    ),
    "differential attention without its first lambda": Breakage(
        "framework/parts/attention/differential.py",
        "(one - two + self.initial_lambda)",
        "(one - two)",
        ("tests/parts/test_attentions.py::test_differential_attention_is_the_difference_of_the_paper",),
    ),
    "padding counts for the experts": Breakage(
        "framework/parts/mixture_of_experts.py",
        "scatter_(-1, chosen, 1.0) * real[..., None]",
        "scatter_(-1, chosen, 1.0)",
        ("tests/parts/test_mixture_of_experts.py::test_the_losses_are_those_of_the_papers",),
    ),
    "values of the last layer in place of the first": Breakage(
        "framework/parts/attention/multi_head.py",
        'layout.shared.setdefault("value_residual", (self.layer, value))',
        'layout.shared.update(value_residual=(self.layer, value)) or layout.shared["value_residual"]',
        ("tests/parts/test_value_residual.py::test_values_are_mixed_with_those_of_the_first_layer_that_has_the_option",),
    ),
    "further tokens of another document": Breakage(
        "framework/models/further_tokens.py",
        "real = real & (documents[:, number:] == documents[:, :count])",
        "real = real & (documents[:, number:] == documents[:, number:])",
        ("tests/parts/test_further_tokens.py::test_each_loss_is_the_mean_over_tokens_that_far_away",),
    ),
    "queries of distances forgotten": Breakage(
        "framework/parts/attention/multi_head.py",
        "bias = scale * (of_queries + of_keys)",
        "bias = scale * of_queries",
        ("tests/parts/test_parity.py::test_disentangled_scores_have_keys_and_queries_of_distances",),
    ),
    "fire without its threshold": Breakage(
        "framework/parts/positions/fire.py",
        "torch.maximum(torch.maximum(query, key), (self.threshold * self.threshold_scale).abs())",
        "torch.maximum(query, key).clamp(min=1)",
        ("tests/parts/test_parity.py::test_fire_interpolates_distances_by_the_position",),
    ),
    "gate and input of stacked experts in one order": Breakage(
        "framework/huggingface/weight_map.py",
        "return [range(number, len(self.names), len(self.names)) for number in range(len(self.names))]",
        "return [range(0, len(self.names), len(self.names)) for number in range(len(self.names))]",
        ("tests/huggingface/test_equal.py::test_a_decoder_gives_the_same_states_and_scores",),
    ),
    "vectors of distances to the other side": Breakage(
        "framework/parts/positions/shaw.py",
        "offset = keys[:, None, :] - queries[:, :, None]",
        "offset = queries[:, :, None] - keys[:, None, :]",
        ("tests/parts/test_parity.py::test_shaw_adds_the_vector_of_the_distance_to_the_key",),
    ),
    "one cache for a layer that is applied again": Breakage(
        "framework/parts/stacks.py",
        "return [cast(Layer, layer).attention.cache() for layer in self.by_depth()]",
        "return [cast(Layer, layer).attention.cache() for layer in self.layers] * (len(self.windows) // len(self.layers))",
        ("tests/parts/test_matrix.py::test_one_layer_for_all_depths_keeps_the_promises",),
    ),
    "a pattern of layers shifted by one": Breakage(
        "framework/registry/layers.py",
        "pattern[layer % len(pattern)]",
        "pattern[(layer + 1) % len(pattern)]",
        ("tests/config/test_layers.py::test_what_a_pattern_means",),
    ),
    "positions in a layer without them": Breakage(
        "framework/parts/stacks.py",
        "self.positions = distinct([_kind(position, head_dims[0]), *kinds])[1:]",
        "self.positions = [0] * len(kinds)",
        ("tests/parts/test_layer_patterns.py::test_a_layer_without_positions_does_not_see_them",),
    ),
    "a deep norm with the usual weights": Breakage(
        "framework/parts/blocks.py",
        'in ("query", "key") else self.beta)',
        'in ("query", "key") else 1.0)',
        ("tests/parts/test_initialize.py::test_deep_norm_is_that_of_the_paper",),
    ),
}


def copied(folder: Path) -> Path:
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def run(folder: Path, *tests: str) -> subprocess.CompletedProcess:
    """The tests of a copied tree, which imports the copied package."""
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "--tb=line",
        "--no-showlocals",
        "-rf",
        "-W",
        "ignore",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run([*pytest_, *tests], cwd=folder, capture_output=True, text=True, timeout=600)


def test_the_unbroken_copy_is_green(tmp_path):
    done = run(copied(tmp_path), *sorted({test for breakage in BREAKAGES.values() for test in breakage.tests}))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_the_suite_turns_red(tmp_path, breakage):
    file = copied(tmp_path) / breakage.file
    text = file.read_text(encoding="utf-8")
    assert text.count(breakage.old) == 1, f"{breakage.file} has {text.count(breakage.old)} times: {breakage.old}"
    file.write_text(text.replace(breakage.old, breakage.new), encoding="utf-8")
    compile(file.read_text(encoding="utf-8"), file, "exec")  # it is the meaning that breaks, not the syntax
    done = run(tmp_path, *breakage.tests)
    assert done.returncode == 1, done.stdout
    silent = [test for test in breakage.tests if f"FAILED {test}" not in done.stdout]
    assert not silent, f"not noticed by {', '.join(silent)}:\n{done.stdout}"
