"""`python -m framework new KIND NAME`: a plugin that trains as it stands, with a test, a preset and a README.

Its files are the templates in this folder, in which `specimen` is replaced by the name. The plugin is written to `plugins/NAME`, in a clone
or in any other folder, and found from that folder (`config/discovery`); `package=true` writes a package that is installed with pip.
"""

import importlib.util
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from framework import registry
from framework.cli.scaffold.texts import KINDS, PYPROJECT, README
from framework.config import catalogue as index
from framework.config.catalogue import Catalogue
from framework.errors import UserError

TEMPLATES = Path(__file__).parent
LONGEST_NAME = 30  # characters that fit a column of `list`
USAGE = f"python -m framework new KIND NAME [package=true]; KIND is one of {', '.join(KINDS)}"
_OF_EVERY_TASK = ("format", "decoding", "distillation")  # slots that the framework itself reads
_ROWS = ["text", "label"]  # columns that the templates' rows have


def new(arguments: Sequence[str]) -> str:
    """Writes the plugin that a command line describes. Returns the message for the user. UserError: the command, the name or the folder."""
    words = [word for word in arguments if "=" not in word]
    options = dict(word.split("=", 1) for word in arguments if "=" in word)
    unknown = [key for key in options if key != "package"]
    if unknown or len(words) != 2 or options.get("package", "false") not in ("true", "false"):
        raise UserError(f"{f'{unknown[0]}: there is no such option; ' if unknown else ''}write {USAGE}")
    kind, name = words
    if kind not in KINDS:
        raise UserError(f"there is no template for {kind}{registry.nearest(kind, KINDS)}; there are: {', '.join(KINDS)}")
    catalogue, package = index.load(), options.get("package") == "true"
    check_name(kind, name, catalogue)
    folder = Path(name) if package else Path("plugins") / name
    if folder.exists():
        raise UserError(f"{folder} exists already; nothing was written")
    files = contents(kind, name, package, folder, catalogue)
    write(files, folder)
    commands = re.findall(r"^```\n(.*?)```", files["README.md"], re.DOTALL | re.MULTILINE)[0].splitlines()
    lines = [f"{folder} is ready to train. {KINDS[kind].title}", *(f"  {path}" for path in sorted(files))]
    return "\n".join([*lines, "", "Next:", *(f"  {command}" for command in commands)])


def templates(kind: str) -> list[Path]:
    """The template files of a kind, relative to its folder."""
    folder = TEMPLATES / kind
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix in (".py", ".yaml"))


def check_name(kind: str, name: str, catalogue: Catalogue) -> None:
    """UserError: the name does not serve as an option, a module and a class, or it is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is not a valid name: use lower-case letters, digits and single underscores, and no Python keyword")
    if len(name) > LONGEST_NAME:
        raise UserError(f"{name!r} has {len(name)} characters; use at most {LONGEST_NAME}")
    presets = [path for path in templates(kind) if path.suffix == ".yaml"]
    options = [(kind, name), *((path.parent.relative_to("conf").as_posix(), renamed(path.stem, name)) for path in presets)]
    for group, option in [*options, *([("format", name)] if kind == "task" else [])]:
        known = catalogue.presets.get(group, {}).get(option) or catalogue.options.get(group, {}).get(option)
        if known:
            raise UserError(f"{group}/{option} exists already: {known['file']}")
    if importlib.util.find_spec(name) is not None:
        raise UserError(f"{name!r} is the name of an installed module, which the plugin would hide; choose another name")


def contents(kind: str, name: str, package: bool, folder: Path, catalogue: Catalogue) -> dict[str, str]:
    """The files of a plugin: path inside its folder -> text."""
    about = KINDS[kind]
    place = place_of(kind, catalogue) if re.search("TASK|SLOT", f"{about.train} {about.preset}") else Place("", "", "")
    code, tests = (f"plugformer_{name}/", "tests/") if package else ("", "")
    command = "python train.py" if Path("train.py").is_file() else "python -m framework train"
    readme = README.format(
        kind=about,
        files=about.files or f"`{kind}.py` is all of it.",
        preset=f"\n`conf/` has its presets, such as `{place.filled(about.preset)}`." if about.preset else "",
        name=kind,
        folder=folder.as_posix(),
        install=f"python -m pip install -e {folder}\n" if package else "",
        train=f"{command} {place.filled(about.train)}",
        hint=f"\n{about.hint}\n" if about.hint else "",
    )
    files = {"README.md": readme}
    if package:
        files["pyproject.toml"] = PYPROJECT.format(kind=about, dashed=name.replace("_", "-"))
    for path in templates(kind):
        text = place.filled((TEMPLATES / kind / path).read_text(encoding="utf-8"))
        files[f"{tests if path.name.startswith('test_') else code}{path.as_posix()}"] = text
    return {renamed(path, name): renamed(text, name) for path, text in files.items()}


@dataclass(frozen=True)
class Place:
    """The place where a part of a kind is used: a task, the slot of the task, and the task's format."""

    task: str
    slot: str
    format: str

    def filled(self, text: str) -> str:
        """A template with the names in place of TASK, SLOT and FORMAT."""
        return re.sub(r"\b(TASK|SLOT|FORMAT)\b", lambda match: str(getattr(self, match[0].lower())), text)


def place_of(kind: str, catalogue: Catalogue) -> Place:
    """A task with a slot for such a part, or else one whose rows are a text and a label. UserError: there is none."""
    tasks = catalogue.options.get("task", {})
    for task, known in tasks.items():
        for slot, entry in known["slots"].items():
            if entry["kind"] == kind and slot not in _OF_EVERY_TASK:
                return Place(task, slot, known["slots"]["format"]["default"])
    for task, known in tasks.items():
        format = known["slots"].get("format", {}).get("default")
        if format and list(catalogue.option(f"format/{format}")["declarations"].get("columns", ())) == _ROWS:
            return Place(task, "format", format)
    raise UserError(f"new {kind} needs a task with such a part, or one whose rows are a text and a label, and there is none")


def renamed(text: str, name: str) -> str:
    """A template with the name of the plugin. A class whose name does not give the name of the option is registered under it explicitly."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    text = text.replace("Specimen", camel).replace("specimen", name)
    for kind in KINDS:
        ending = "".join(word.capitalize() for word in kind.split("_"))
        if registry.option_name(f"{camel}{ending}", kind) != name:
            text = text.replace(f'@register("{kind}")', f'@register("{kind}", "{name}")')
    return text


def write(files: Mapping[str, str], folder: Path) -> None:
    """Writes the files. UserError: the file system refuses."""
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
