"""plugformer: Transformers composed of registered parts, trained as task plugins.

Everything public is a name of this package or of `framework.testing`; every other module may change without notice. A name is imported
when it is first used, so `import framework` itself loads neither torch nor Hydra. The examples in docstrings run in a folder with a run,
runs/last, and its data, reviews.csv, after `from framework import *`, and with torch, math and Counter imported.

    >>> import framework
    >>> config = framework.compose(["task=ner", "model.num_layers=4"])
    >>> config["model"]["num_layers"]
    4

Rows, batches and a few constants are of Python's own types:

    >>> row: framework.Row = {"text": "a good film", "label": "positive"}  # column -> value, as a source reads it
    >>> located: framework.LocatedRow = (row, "reviews.csv, line 7")  # a row and its place in a file
    >>> features: framework.Features = {"ids": [2, 7, 8, 3], "label": 1}  # numbers, lists of them, or lists of lists
    >>> batch: framework.Batch = {"ids": torch.tensor([[2, 7, 8, 3]]), "padding_mask": None, "@rows": framework.BatchRows([0], [row])}
    >>> word: framework.Span = (2, 6)  # from, to: "good" in the text
    >>> word_numbers = [framework.NO_WORD, 0, 1, framework.NO_WORD]  # of tokens: NO_WORD belongs to none
    >>> targets = torch.tensor([[7, 8, framework.IGNORED]])  # of tokens: IGNORED is no target
    >>> framework.SPECIAL_TOKENS  # of the tokenizers that are trained here
    ('[PAD]', '[BEGIN]', '[END]', '[UNK]', '[MASK]')
    >>> baseline: framework.Baseline = {"": [{"prediction": "positive", "reference": "negative"}]}  # what a simple method predicts
    >>> tokenize: framework.BleuTokenizer = "13a"
    >>> activation: framework.Activation = "relu"
    >>> framework.ACTIVATIONS[activation](torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
"""

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework import registry

if TYPE_CHECKING:  # the public names; type checkers and editors import them at once
    from framework.data.batches import Batches as Batches
    from framework.data.facts import Defaults as Defaults
    from framework.data.facts import Facts as Facts
    from framework.data.facts import Setting as Setting
    from framework.data.formats import Batch as Batch
    from framework.data.formats import BatchRows as BatchRows
    from framework.data.formats import Features as Features
    from framework.data.formats import Format as Format
    from framework.data.formats import Row as Row
    from framework.data.formats import TextTokenizer as TextTokenizer
    from framework.data.formats import name_of as name_of
    from framework.data.formats import text_of as text_of
    from framework.data.formats import texts_of as texts_of
    from framework.data.kept import kept_on_disk as kept_on_disk
    from framework.data.padding import pad as pad
    from framework.data.padding import padding_mask as padding_mask
    from framework.data.padding import stack_features as stack_features
    from framework.data.pairs import PairFormat as PairFormat
    from framework.data.ragged import FeatureRows as FeatureRows
    from framework.data.ragged import Ragged as Ragged
    from framework.data.sources.base import LocatedRow as LocatedRow
    from framework.data.sources.base import Source as Source
    from framework.data.sources.builtin import BuiltinData as BuiltinData
    from framework.data.spec import DataSpec as DataSpec
    from framework.data.stdlib import StandardLibrary as StandardLibrary
    from framework.data.targets import IGNORED as IGNORED
    from framework.data.targets import target_places as target_places
    from framework.data.tokenization.alignment import NO_WORD as NO_WORD
    from framework.data.tokenization.alignment import Span as Span
    from framework.data.tokenization.alignment import best_windows as best_windows
    from framework.data.tokenization.alignment import token_windows as token_windows
    from framework.data.tokenization.alignment import tokenize_words as tokenize_words
    from framework.data.tokenization.tokenizer import Tokenizer as Tokenizer
    from framework.data.tokenization.trainers import SPECIAL_TOKENS as SPECIAL_TOKENS
    from framework.data.tokenization.trainers import TokenizerTrainer as TokenizerTrainer
    from framework.errors import UserError as UserError
    from framework.generation.engine import Decode as Decode
    from framework.generation.engine import generated_row as generated_row
    from framework.generation.engine import pad_left as pad_left
    from framework.generation.strategy import Strategy as Strategy
    from framework.huggingface.folder import load_model as load_model
    from framework.metrics.base import RowMetric as RowMetric
    from framework.metrics.bleu import Bleu as Bleu
    from framework.metrics.bleu import Chrf as Chrf
    from framework.metrics.calibration import CalibrationError as CalibrationError
    from framework.metrics.labels import LabelCounts as LabelCounts
    from framework.metrics.labels import LabelSums as LabelSums
    from framework.metrics.ratio import Average as Average
    from framework.metrics.ratio import BitsPerByte as BitsPerByte
    from framework.metrics.ratio import Perplexity as Perplexity
    from framework.metrics.ratio import Ratio as Ratio
    from framework.metrics.ratio import RowAverage as RowAverage
    from framework.metrics.resampling import Resampled as Resampled
    from framework.metrics.rouge import Rouge as Rouge
    from framework.metrics.tokenizers import BleuTokenizer as BleuTokenizer
    from framework.models.base import Model as Model
    from framework.parts.adapters import Adapter as Adapter
    from framework.parts.attention.base import Attention as Attention
    from framework.parts.attention.kernels import attend as attend
    from framework.parts.attention.weights import AttentionWeights as AttentionWeights
    from framework.parts.attention.weights import log_attention as log_attention
    from framework.parts.blocks import Block as Block
    from framework.parts.caches import Cache as Cache
    from framework.parts.caches import EncoderOutput as EncoderOutput
    from framework.parts.caches import KVCache as KVCache
    from framework.parts.dropout import Dropout as Dropout
    from framework.parts.dropout import dropout as dropout
    from framework.parts.embeddings import Tokens as Tokens
    from framework.parts.feed_forward import ACTIVATIONS as ACTIVATIONS
    from framework.parts.feed_forward import Activation as Activation
    from framework.parts.layout import RotaryEmbedding as RotaryEmbedding
    from framework.parts.layout import SequenceLayout as SequenceLayout
    from framework.parts.masks import Mask as Mask
    from framework.parts.positions.base import Position as Position
    from framework.registry import Part as Part
    from framework.registry import build as build
    from framework.registry import choice as choice
    from framework.registry import describe as describe
    from framework.registry import register as register
    from framework.registry.names import nearest as nearest
    from framework.runs.build import build_task as build_task
    from framework.runs.build import prepare_data as prepare_data
    from framework.runs.folder import Run as Run
    from framework.runs.predictor import Predictor as Predictor
    from framework.tasks.base import Baseline as Baseline
    from framework.tasks.base import BaselineData as BaselineData
    from framework.tasks.base import GenerationTask as GenerationTask
    from framework.tasks.base import Result as Result
    from framework.tasks.base import Task as Task
    from framework.tasks.capabilities import Calibrated as Calibrated
    from framework.tasks.capabilities import Distillable as Distillable
    from framework.tasks.capabilities import DistillationOutputs as DistillationOutputs
    from framework.tasks.capabilities import Exportable as Exportable
    from framework.tasks.capabilities import TokenFeatures as TokenFeatures
    from framework.tasks.capabilities import WithReference as WithReference
    from framework.tasks.cross_entropy import at_targets as at_targets
    from framework.tasks.cross_entropy import logits_at_targets as logits_at_targets
    from framework.tasks.cross_entropy import row_losses as row_losses
    from framework.tasks.cross_entropy import target_losses as target_losses
    from framework.tasks.gathering import gather_rows as gather_rows
    from framework.tasks.gathering import in_chunks as in_chunks
    from framework.tasks.sequence_to_sequence import SequenceToSequence as SequenceToSequence
    from framework.tracking.base import Tracker as Tracker
    from framework.training.distillation import Distillation as Distillation
    from framework.training.groups import parameter_groups as parameter_groups
    from framework.training.schedules import Schedule as Schedule
    from framework.utils.markup import Html as Html
    from framework.utils.markup import highlighted as highlighted
    from framework.utils.recording import add_loss as add_loss
    from framework.utils.recording import log_figure as log_figure
    from framework.utils.words import is_word as is_word
    from framework.utils.words import split_at_blanks as split_at_blanks
    from framework.utils.words import split_sentences as split_sentences
    from framework.utils.words import word_spans as word_spans
    from framework.workflows.interactive import build_model as build_model
    from framework.workflows.interactive import compose as compose
    from framework.workflows.interactive import load as load
    from framework.workflows.interactive import open_run as open_run
    from framework.workflows.interactive import train as train


def _public() -> dict[str, str]:
    """Public name -> its module, read from the imports above: one list for type checkers and for `__getattr__`."""
    (block,) = (node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.If))
    return {alias.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


_MODULES = _public()
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__


def _catalogue() -> registry.Known:
    from framework.config import catalogue  # imported when a part is missing

    return catalogue.known()


registry.look_up_in(_catalogue)
