"""Discovery of the packages that bring parts and presets: the framework itself, its plugins, and installed packages.

An installed package is discovered by an entry point in its pyproject.toml:

    [project.entry-points."plugformer.plugins"]
    mine = "my_package"

Every class that one of its modules registers and every YAML file in its `conf/` folder becomes an option. So do those of the packages
in `plugins/` of the current folder, where `python -m framework new` writes them. A package whose code cannot be read is left out: the
others work, and it is named where one of its parts is chosen.
"""

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.errors import place_of

ENTRY_POINTS = "plugformer.plugins"
DISTRIBUTION = "plugformer"
HERE = "here"  # the version of a plugin in the current folder
_SPEAKS_OF_US = re.compile(rb"^\s*(?:from|import)\s+framework\b", re.MULTILINE)
_ROOT = Path(__file__).resolve().parents[1]
# The packages of the framework that register parts.
_OWN = ("parts", "models", "generation", "data", "tasks", "training", "tracking", "huggingface.families")


@dataclass(frozen=True)
class Origin:
    """A package that brings parts.

    package: its import name. folder: its folder, or its file. distribution, version: what it was installed from. plugin: the name of a
    plugin, before its parts where others have the same name (`theirs:rms`); empty for the framework itself, on which every plugin depends.
    problem: why it cannot be imported.
    """

    package: str
    folder: Path
    distribution: str
    version: str
    plugin: str = ""
    problem: str = ""

    @property
    def title(self) -> str:
        """Distribution and version: `theirs 0.2`."""
        return f"{self.distribution} {self.version}"

    @property
    def label(self) -> str:
        """The name in messages: distribution and version, or the folder of a plugin in a clone."""
        return f"plugins/{self.plugin}" if self.plugin and self.distribution == DISTRIBUTION else self.title

    @property
    def rank(self) -> int:
        """Precedence for a shared name, lowest first: the framework's (0), a plugin's beside it (1), another package's (2)."""
        return 2 if self.distribution != DISTRIBUTION else 1 if self.plugin else 0

    def module(self, path: Path) -> str | None:
        """Import name of a file; none for tests and private modules."""
        if self.folder.is_file():
            return self.package
        parts = path.relative_to(self.folder).with_suffix("").parts
        if any(part.startswith(("test", "_")) and part != "__init__" for part in parts):
            return None
        return ".".join((self.package, *(part for part in parts if part != "__init__")))

    def sources(self) -> list[Path]:
        """Its Python files."""
        if self.problem:
            return []
        return [self.folder] if self.folder.is_file() else sorted(self.folder.rglob("*.py"))

    def presets(self) -> list[Path]:
        """The YAML files in its `conf/`."""
        return sorted(self.conf.rglob("*.yaml")) if self.conf else []

    @property
    def conf(self) -> Path | None:
        folder = self.folder / "conf"
        return folder if not self.problem and folder.is_dir() else None


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
    packages += [Origin(f"{package}.{folder.name}", folder, DISTRIBUTION, version, folder.name) for folder in folders]
    packages += [_of_this_folder(folder) for folder in plugins_here()]
    entries = sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value))
    for entry in entries:
        found = _installed(entry, {origin.plugin for origin in packages})
        if found.package not in {origin.package for origin in packages}:
            packages.append(found)
    return packages


def _installed(entry: Any, taken: Collection[str]) -> Origin:
    """The package of an entry point; its plugin name is that of the entry point, or of the package if that one is taken."""
    package = entry.value.partition(":")[0].strip()
    name, version = (entry.dist.name, entry.dist.version) if entry.dist else (package, "unknown")
    plugin = package if entry.name in taken else entry.name
    source, problem = Path(), ""
    try:
        spec = importlib.util.find_spec(package)
    except (Exception, SystemExit) as error:  # it imports the packages around a module, whose code may raise anything
        problem = place_of(error, Path(sys.prefix))
    else:
        problem = f"there is no module {package}" if spec is None else "" if spec.origin else f"{package} has no __init__.py"
        source = Path(spec.origin) if spec and spec.origin else source
    return Origin(package, source.parent if source.name == "__init__.py" else source, name, version, plugin, problem)


def plugins_here() -> list[Path]:
    """Packages in `plugins/` of the current folder that import the framework; none in a clone, whose plugins `origins` has already."""
    here = Path.cwd() / "plugins"
    if here.resolve() in (_ROOT.parent / "plugins", _ROOT / "plugins") or not here.is_dir():
        return []
    folders = sorted(path for path in here.iterdir() if (path / "__init__.py").is_file())
    return [folder for folder in folders if any(_SPEAKS_OF_US.search(path.read_bytes()) for path in folder.rglob("*.py"))]


def _of_this_folder(folder: Path) -> Origin:
    """A plugin of the current folder, imported by the name of its folder."""
    if str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))
    spec = importlib.util.find_spec(folder.name)
    other = spec is None or spec.origin is None or Path(spec.origin).resolve() != (folder / "__init__.py").resolve()
    problem = f"Python finds another module named {folder.name}; the plugin needs another name" if other else ""
    return Origin(folder.name, folder, f"plugins/{folder.name}", HERE, folder.name, problem)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "source"
