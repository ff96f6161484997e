"""python benchmarks/part_table.py [DATA] [TABLE ...]: docs/parts.md, the same small model with one part exchanged at a time.

Each table is a sweep of three seeds, which goes on where it was interrupted and does nothing where it is complete, and what `compare` says
of it. DATA is the folder of the published datasets; without it the page is written of the sweeps that are there. TABLE: names of tables,
all by default.
"""

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS, PAGE = ROOT / "runs" / "parts", ROOT / "docs" / "parts.md"

DECODER = "task=transduction model=tiny_decoder model.dim=64 model.num_heads=2 effort=fixed"
POSITIONS = "model/position=none,sinusoidal,learned,rotary,relative,alibi,kerple,shaw"
RECALL = "task.format.problem=recall model.initial_std=0.12 trainer.max_epochs=8"

SCAN = "experiment=scan_length data.folder={data}/compositional/scan"
COGS = "experiment=cogs data.folder={data}/compositional/cogs"
ATTENTIONS = "model/attention=multi_head,differential,latent,linear,gated_delta,retention"
SHARED = "model/encoder=standard,shared model/decoder=cross,shared_cross"
EXACT = ("test/exact_match",)

# name of the sweep -> title, words, figures
TABLES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "copying_position": ("Copying, decoder: position", f"{DECODER} {POSITIONS}", ("test/exact_match", "test/exact_match/length_16")),
    "recall_attention": ("Recall, decoder: attention", f"{DECODER} {RECALL} {ATTENTIONS}", ("test/token_accuracy",)),
    "recall_position": ("Recall, decoder: position", f"{DECODER} {RECALL} {POSITIONS}", ("test/token_accuracy",)),
    "scan_length_position": (
        "SCAN, longer than 26 actions, encoder-decoder: position",
        f"{SCAN} model/position=sinusoidal,rotary,relative,shaw",
        EXACT,
    ),
    "scan_length_sharing": ("SCAN, longer than 26 actions, encoder-decoder: shared layers", f"{SCAN} {SHARED}", EXACT),
    "cogs_position": ("COGS, encoder-decoder: position", f"{COGS} model/position=sinusoidal,shaw", EXACT),
}

HEAD = """# What a part does

One small model, one part exchanged at a time: three seeds, mean and standard deviation, the difference from the best variant (`*`) with its
interval and p-value (adjusted for all pairs, [compare.md](compare.md)), and beside them parameters, CPU-seconds and training tokens of a
run. Written by `python benchmarks/part_table.py DATA` from sweeps; `DATA` is the folder of the published datasets, and the tasks are those
of [transduction](tasks.md#transduction).
"""


def main(arguments: list[str]) -> int:
    data = next((each for each in arguments if "/" in each), None)
    wanted = [each for each in arguments if "/" not in each] or list(TABLES)
    lines = [HEAD]
    for name, (title, words, figures) in TABLES.items():
        command = f"{words} seed=0,1,2"
        if data and name in wanted:
            shown = shlex.split(command.format(data=data))
            subprocess.run([sys.executable, "train.py", "-m", *shown, f"name={name}", f"runs={RUNS}"], cwd=ROOT, check=True)
        folders = list(RUNS.glob(f"*/{name}"))
        if not folders:
            continue
        lines += [f"## {title}", "", f"`python train.py -m {command.format(data='DATA')}`", ""]
        for figure in figures:
            table = RUNS / f"{name}.md"
            compared = [sys.executable, "-m", "framework", "compare", str(folders[0]), f"metric={figure}", f"to={table}"]
            subprocess.run(compared, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            lines += [f"`{figure}`:", "", table.read_text(encoding="utf-8").strip(), ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
