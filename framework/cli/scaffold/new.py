"""`python -m framework new KIND NAME`: a folder that already trains.

What it writes are the templates in `framework/cli/scaffold`, working code of ours with another name. In a clone the folder is one of
`plugins/`; in any other folder too, where `discovery` finds it as long as somebody stands there; `package=true` writes a package that is
installed with pip and found from everywhere.
"""

import importlib.util
import keyword
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from framework import registry
from framework.cli.scaffold.texts import KINDS, PYPROJECT, README
from framework.config import catalogue as index
from framework.config.catalogue import Catalogue
from framework.errors import UserError

TEMPLATES = Path(__file__).parent
LONGEST = 30  # characters of a name
USAGE = "python -m framework new task|attention|position|data NAME [package=true]"


def new(arguments: Sequence[str]) -> str:
    """Writes what the command line asks for; what to say of it. UserError: what is wrong with the command, the name or the folder."""
    words = [word for word in arguments if "=" not in word]
    options = dict(word.split("=", 1) for word in arguments if "=" in word)
    unknown = [key for key in options if key != "package"]
    if unknown or len(words) != 2 or options.get("package", "false") not in ("true", "false"):
        raise UserError(f"{f'{unknown[0]}: there is no such option; ' if unknown else ''}write {USAGE}")
    kind, name = words
    package = options.get("package") == "true"
    if kind not in KINDS:
        raise UserError(f"new writes no {kind}{registry.nearest(kind, KINDS)}; it writes: {', '.join(KINDS)}")
    catalogue = index.load()
    check_name(kind, name, catalogue)
    folder = Path(name) if package else Path("plugins") / name
    if folder.exists():
        raise UserError(f"{folder} exists already; nothing was written")
    files = contents(kind, name, package, folder, catalogue)
    write(files, folder)
    return said(kind, folder, files)


def check_name(kind: str, name: str, catalogue: Catalogue) -> None:
    """UserError: no name for an option, a module and a class at once, or one that is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no name for an option: small letters, digits and single underscores, and no word of Python's")
    if len(name) > LONGEST:
        raise UserError(f"{name!r} has {len(name)} characters; at most {LONGEST} are allowed")
    options = [(kind, name), (KINDS[kind].group, renamed(KINDS[kind].preset_name, name)), *([("format", name)] if kind == "task" else [])]
    for group, option in options:
        known = catalogue.presets.get(group, {}).get(option) or catalogue.options.get(group, {}).get(option)
        if known:
            raise UserError(f"{group}/{option} exists already: {known['file']}")
    if importlib.util.find_spec(name) is not None:
        raise UserError(f"{name!r} is the name of a module that Python finds already; it would hide yours")


def contents(kind: str, name: str, package: bool, folder: Path, catalogue: Catalogue) -> dict[str, str]:
    """Path inside the folder -> text."""
    texts = KINDS[kind]
    code, test = (f"plugformer_{name}/", "tests/") if package else ("", "")
    form, task = reader(catalogue) if kind == "data" else ("", "")
    marks = {
        "WHAT": texts.what,
        "FILES": texts.files,
        "PRESET": texts.preset[0],
        "INSTALL": f"python -m pip install -e {folder}",
        "FOLDER": folder.as_posix(),
        "KIND": kind,
        "TRAIN": f"{training()} {texts.train}",
        "HINT": texts.hint,
        "DASHED": name.replace("_", "-"),
        "a_reader": task,
        "of_a_reader": form,
    }
    files = {
        f"{code}conf/{texts.group}/{texts.preset_name}.yaml": texts.preset[1],
        "README.md": README if package else README.replace("INSTALL\n", ""),
    }
    for path in sorted((TEMPLATES / kind).glob("*.py")):
        where = test if path.name.startswith("test_") else code
        files[f"{where}{path.name}"] = path.read_text(encoding="utf-8")
    if package:
        files["pyproject.toml"] = PYPROJECT
    return {renamed(path, name): renamed(filled(text, marks), name) for path, text in files.items()}


def reader(catalogue: Catalogue) -> tuple[str, str]:
    """A format whose rows have a text and a label, and the task that reads it. UserError: there is none."""
    for form, option in catalogue.options.get("format", {}).items():
        if list(option["declarations"].get("columns", ())) == ["text", "label"]:
            for task, known in catalogue.options.get("task", {}).items():
                if known["slots"].get("format", {}).get("default") == form:
                    return form, task
    raise UserError("new data writes a source of texts with labels, and no task here reads such rows")


def filled(text: str, marks: Mapping[str, str]) -> str:
    """Marks replaced as whole words; what a mark holds may hold another one."""
    pattern = re.compile(rf"\b({'|'.join(marks)})\b")
    while pattern.search(text):
        text = pattern.sub(lambda found: marks[found[1]], text)
    return text


def renamed(text: str, name: str) -> str:
    """The template under its new name; the option is named outright where its class does not say the name."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    text = text.replace("Specimen", camel).replace("specimen", name)
    for kind in (*KINDS, "format"):
        if registry.option_name(f"{camel}{kind.capitalize()}", kind) != name:
            text = text.replace(f'@register("{kind}")', f'@register("{kind}", "{name}")')
    return text


def write(files: Mapping[str, str], folder: Path) -> None:
    """UserError: the disk does not take them."""
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error


def training() -> str:
    return "python train.py" if Path("train.py").is_file() else "python -m framework train"


def said(kind: str, folder: Path, files: Mapping[str, str]) -> str:
    """What was written, and what to type next."""
    commands = re.findall(r"^```\n(.*?)```", files["README.md"], re.DOTALL | re.MULTILINE)[0].splitlines()
    written, typed = (f"  {path}" for path in sorted(files)), (f"  {line}" for line in commands)
    return "\n".join([f"{folder} trains already. {KINDS[kind].what}", *written, "", "Next:", *typed])
