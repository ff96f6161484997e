"""Names of the tokenizers of metrics, as types of options: a module without torchmetrics, which takes a second to import."""

from typing import Literal

BleuTokenizer = Literal[
    "13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none", "spm", "flores101", "flores200", "spBLEU-1K"
]  # all of sacrebleu
