"""What loading a published model costs in memory: `python benchmarks/loading.py [PRESET ...]`, Linux.

Writes a model of each preset with random weights in the published layout, and loads it in a process of its own. The figure is the highest
resident memory while loading, less that before it, divided by the size of the file: 1 is the weights themselves.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main(presets: list[str]) -> int:
    for preset in presets or ["bert_base", "gpt2", "t5_small"]:
        with tempfile.TemporaryDirectory() as folder:
            for name in (preset, "warm"):  # a small one first: imports are not loading
                (Path(folder) / name).mkdir()
                written(preset, Path(folder) / name, small=name == "warm")
            command = [sys.executable, __file__, "--load", str(Path(folder) / "warm"), str(Path(folder) / preset)]
            print(f"{preset:<20}{subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()}")
    return 0


def written(preset: str, folder: Path, small: bool) -> None:
    from framework.config import catalogue as index
    from framework.config.constraints import explicit
    from framework.config.presets import node_of
    from framework.data.spec import DataSpec
    from framework.huggingface.writing import write
    from framework.registry import build

    catalogue = index.load()
    config = explicit({**node_of(preset, "model", catalogue), **({"num_layers": 1} if small else {})}, catalogue)
    spec = DataSpec(100 if small else 30000, config["max_length"], begin=1, end=2)
    model = build(config, spec=spec)
    write(folder, config, {f"model.{name}": value for name, value in model.state_dict().items()}, spec)


def loaded(warm: Path, folder: Path) -> None:
    from framework.huggingface.folder import load_model

    load_model(warm)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
    model = load_model(folder)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count:>13,} parameters, {size / 2**20:,.0f} MiB, peak {(memory('VmHWM') - before) / size:.3f} of the file's size")


def memory(kind: str) -> int:
    """Bytes, as the kernel counts them for this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{kind}:"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        loaded(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
