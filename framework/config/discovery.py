"""Discovery of the packages that bring parts and presets: the framework itself, its plugins, and installed packages.

An installed package is discovered by an entry point in its pyproject.toml:

    [project.entry-points."plugformer.plugins"]
    mine = "my_package"

Every class that one of its modules registers and every YAML file in its `conf/` folder becomes an option. So do those of the packages
in `plugins/` of the current folder, where `python -m framework new` writes them.
"""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framework.errors import UserError

ENTRY_POINTS = "plugformer.plugins"
DISTRIBUTION = "plugformer"
_ROOT = Path(__file__).resolve().parents[1]
# The packages of the framework that register parts.
_OWN = ("parts", "models", "generation", "data", "tasks", "training", "tracking", "huggingface.families")


@dataclass(frozen=True)
class Origin:
    """A package that brings parts: its import name, its folder, and the distribution that it was installed from."""

    package: str
    folder: Path
    distribution: str
    version: str

    def modules(self) -> Iterator[str]:
        """Import names of all modules, without tests and private ones."""
        if self.folder.is_file():
            yield self.package
            return
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            if any(part.startswith(("test", "_")) and part != "__init__" for part in parts):
                continue
            yield ".".join((self.package, *(part for part in parts if part != "__init__")))

    def files(self) -> Iterator[Path]:
        """The files that the catalogue depends on: sources and presets."""
        yield from [self.folder] if self.folder.is_file() else sorted(self.folder.rglob("*.py"))
        if self.conf:
            yield from sorted(self.conf.rglob("*.yaml"))

    @property
    def conf(self) -> Path | None:
        folder = self.folder / "conf"
        return folder if folder.is_dir() else None


def conf_folder() -> Path:
    """The framework's own presets: beside the package in a clone, inside it in a wheel."""
    inside = _ROOT / "conf"
    return inside if inside.is_dir() else _ROOT.parent / "conf"


def origins() -> list[Origin]:
    """Every package that brings parts: the framework's folders, the plugins beside or inside it, installed packages."""
    version = _version(DISTRIBUTION)
    packages = [Origin(f"framework.{name}", _ROOT.joinpath(*name.split(".")), DISTRIBUTION, version) for name in _OWN]
    package, plugins = ("framework.plugins", _ROOT / "plugins")
    if not plugins.is_dir():
        package, plugins = ("plugins", _ROOT.parent / "plugins")
        if str(_ROOT.parent) not in sys.path:
            sys.path.append(str(_ROOT.parent))  # an editable install, used from another folder than the clone
    folders = sorted(path for path in plugins.iterdir() if (path / "__init__.py").is_file())
    packages += [Origin(f"{package}.{folder.name}", folder, DISTRIBUTION, version) for folder in folders]
    packages += [_of_this_folder(folder) for folder in plugins_here()]
    for entry in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        spec = importlib.util.find_spec(entry.value)
        if spec is None or spec.origin is None:
            continue
        source = Path(spec.origin)
        folder = source.parent if source.name == "__init__.py" else source
        distribution = entry.dist
        name, number = (distribution.name, distribution.version) if distribution else (entry.value, "unknown")
        packages.append(Origin(entry.value, folder, name, number))
    return packages


def plugins_here() -> list[Path]:
    """Packages in `plugins/` of the current folder that import the framework; none in a clone, whose plugins `origins` has already."""
    here = Path.cwd() / "plugins"
    if here.resolve() in (_ROOT.parent / "plugins", _ROOT / "plugins") or not here.is_dir():
        return []
    folders = sorted(path for path in here.iterdir() if (path / "__init__.py").is_file())
    return [folder for folder in folders if any(b"from framework" in path.read_bytes() for path in folder.glob("*.py"))]


def _of_this_folder(folder: Path) -> Origin:
    """A plugin of the current folder, imported by the name of its folder. UserError: Python finds another module of that name."""
    if str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))
    spec = importlib.util.find_spec(folder.name)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != (folder / "__init__.py").resolve():
        raise UserError(f"{folder}: Python finds another module named {folder.name}; the plugin needs another name")
    return Origin(folder.name, folder, f"plugins/{folder.name}", "here")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "source"
