"""Weight files of a published model against its config.json, by what their headers say."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.huggingface.family import Family, Parts
from framework.huggingface.files import WeightFiles
from framework.huggingface.weight_map import TensorSlice


def check_weights(
    config: Mapping[str, Any], weights: Mapping[str, TensorSlice], files: WeightFiles, family: Family, parts: Parts, folder: Path
) -> None:
    """Compares what the headers of the files say with the config.json, before anything is built. UserError: a weight has other than floats
    or another number of dimensions, there is no table of tokens, or the config has more layers than the files."""
    for piece in weights.values():
        shape = files.shapes[piece.hf_name]
        if piece.hf_name in files.no_floats:
            raise UserError(
                f"{folder}: {piece.hf_name} has numbers of type {files.no_floats[piece.hf_name]}; weights must be floating-point "
                "numbers of 16 bits or more, and quantized ones are not supported"
            )
        if not piece.fits(shape):
            raise UserError(f"{folder}: {piece.hf_name} is no weight of a {family.model_type} model: it has the shape {shape}")
    table = weights.get("model.tokens.weight")
    if table is None or len(files.shapes[table.hf_name]) != 2:
        raise UserError(f"{folder} has no table of token embeddings, which a {family.model_type} model needs")
    rows = files.shapes[table.hf_name][0]
    if config.get("vocab_size", rows) != rows:
        raise UserError(
            f"{folder}: config.json has vocab_size={config['vocab_size']:,}, and the table of token embeddings has {rows:,} rows"
        )
    experts = [int(match[1]) for name in weights if (match := re.search(r"\.experts\.(\d+)\.", name))]
    if experts and (number := parts.values["feed_forward.experts"]) != max(experts) + 1:
        key = next(option.key for option in family.options if option.path == "feed_forward.experts")
        raise UserError(f"{folder}: config.json has {key}={number:,}, and the files have the weights of {max(experts) + 1} experts")
    for stack, option in (("encoder", "num_layers"), ("decoder", "num_decoder_layers")):
        layers = [int(match[1]) for name in weights if (match := re.match(rf"model\.{stack}\.layers\.(\d+)\.", name))]
        path = option if parts.values.get(option) is not None else "num_layers"
        if layers and (wanted := parts.values[path]) > max(layers) + 1 and f"{stack}.layers.#" in str(family.weights):
            key = next(option.key for option in family.options if option.path == path)
            raise UserError(f"{folder}: config.json has {key}={wanted:,}, and the files have the weights of {max(layers) + 1} layers")
