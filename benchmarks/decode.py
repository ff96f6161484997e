"""python benchmarks/decode.py [SHAPE ...]: new tokens a CPU-second, ours beside `generate` of transformers, with the same random weights.

One thread, float32, 48 new tokens for each prompt. Both take turns, a figure is the median of their turns, and the ratio that of the pairs.
The floor is one pass over the weights for each step, by plain matrix products alone.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

import torch  # noqa: E402 - the number of threads is read at import
from transformers import BartConfig, BartForConditionalGeneration, GPT2Config, GPT2LMHeadModel  # noqa: E402

from framework.data.spec import DataSpec  # noqa: E402
from framework.generation.engine import Decode  # noqa: E402
from framework.models.decoder_only import DecoderOnlyModel  # noqa: E402
from framework.models.encoder_decoder import EncoderDecoderModel  # noqa: E402
from framework.registry import Part  # noqa: E402

VOCABULARY, NEW, TURNS = 8000, 48, 5
SPEC = DataSpec(vocab_size=VOCABULARY, max_length=512, padding=0, begin=1, end=2)
SHAPES = {  # family, rows, tokens of the prompt or source, beams
    "decoder, batch 1": ("decoder", 1, 32, 1),
    "decoder, batch 16": ("decoder", 16, 32, 1),
    "decoder, batch 64": ("decoder", 64, 32, 1),
    "decoder, batch 16, prompt 448": ("decoder", 16, 448, 1),
    "decoder, 4 beams, batch 1": ("decoder", 1, 32, 4),
    "decoder, 4 beams, batch 16": ("decoder", 16, 32, 4),
    "encoder-decoder, batch 1": ("pair", 1, 32, 1),
    "encoder-decoder, batch 16": ("pair", 16, 32, 1),
    "encoder-decoder, batch 64": ("pair", 64, 32, 1),
    "encoder-decoder, 4 beams, batch 16": ("pair", 16, 32, 4),
}


def models(family: str) -> tuple[Any, Any]:
    """Ours and theirs, of one shape."""
    torch.manual_seed(0)
    if family == "decoder":
        sizes = {"n_embd": 384, "n_layer": 6, "n_head": 6, "n_positions": 512, "vocab_size": VOCABULARY}
        theirs: Any = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=2, pad_token_id=0))
        return DecoderOnlyModel(spec=SPEC, dim=384, num_layers=6, num_heads=6, dropout=0.0), theirs
    of_layers = {"layers": 4, "attention_heads": 4, "ffn_dim": 1024}
    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in of_layers.items()}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = BartConfig(**sizes, **special, d_model=256, vocab_size=VOCABULARY, max_position_embeddings=512)
    config.decoder_start_token_id, config.forced_eos_token_id = 1, None
    return EncoderDecoderModel(spec=SPEC, dim=256, num_layers=4, num_heads=4, dropout=0.0), BartForConditionalGeneration(config)


def ours(model: Any, family: str, ids: torch.Tensor, beams: int) -> Callable[[], object]:
    limits = {"max_new_tokens": NEW, "min_new_tokens": NEW}
    strategy = Part("decoding/greedy", **limits) if beams == 1 else Part("decoding/beam", num_beams=beams, **limits)
    decode = Decode(strategy(), text=str, end=2)

    def run() -> object:
        if family == "decoder":
            return decode(model, ids)
        with torch.inference_mode():
            encoded = model.encode(ids)
        return decode(model, torch.full((len(ids), 1), 1), encoder_output=encoded)

    return run


def theirs(model: Any, ids: torch.Tensor, beams: int) -> Callable[[], object]:
    options = {"max_new_tokens": NEW, "min_new_tokens": NEW, "num_beams": beams, "do_sample": False}
    return lambda: model.generate(ids, attention_mask=torch.ones_like(ids), **options)


def floor(model: Any, rows: int) -> Callable[[], object]:
    """One product with every weight matrix of the decoder for each new token."""
    stack = model.decoder
    matrices = [module.weight for module in stack.modules() if isinstance(module, torch.nn.Linear)] + [model.tokens.weight]
    inputs = {width: torch.randn(rows, width) for width in {matrix.shape[1] for matrix in matrices}}

    @torch.inference_mode()
    def run() -> None:
        for _ in range(NEW):
            for matrix in matrices:
                inputs[matrix.shape[1]] @ matrix.T

    return run


def cpu_seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main(names: list[str]) -> int:
    print("| shape | ours, tokens a CPU-second | transformers | ours / transformers | ours / floor |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (family, rows, length, beams) in SHAPES.items():
        if names and not any(each in name for each in names):
            continue
        mine, other = (model.eval() for model in models(family))
        ids = torch.randint(5, VOCABULARY, (rows, length))
        calls = [ours(mine, family, ids, beams), theirs(other, ids, beams), floor(mine, rows * beams)]
        for call in calls:
            call()
        turns = [[cpu_seconds(call) for call in calls] for _ in range(TURNS)]
        medians = [statistics.median(turn[number] for turn in turns) for number in range(3)]
        ratios = [statistics.median(turn[number] / turn[0] for turn in turns) for number in (1, 2)]
        rates = [rows * NEW / seconds for seconds in medians]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
