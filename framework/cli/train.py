"""The command line of training: flags and exit codes."""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.cli.help import help_text
from framework.config import catalogue as index
from framework.config.catalogue import GROUPS, TOP
from framework.config.other_words import meant
from framework.errors import RankFailed, UserError
from framework.training.interruption import Interrupted, interruption
from framework.utils.files import check_current_folder
from framework.utils.phases import reported
from framework.utils.ranks import ranks
from framework.utils.streams import demanded_output, prepare_streams, tell, unbroken_output

_HYDRAS = ("-sc", "--shell-completion", "-i", "--info", "--hydra-help", "--version")  # flags that Hydra answers


def main(argv: Sequence[str]) -> int:
    """Trains the run that a command line describes. Exit code: 0, 2 for a user's mistake, 130 for Ctrl-C, 143 for SIGTERM, 99 for SIGUSR1
    (`interruption.REQUEUE`); a bug raises."""
    prepare_streams()
    try:
        with interruption.watched():
            return _main(list(argv))
    except UserError as error:
        tell(error)
        return 2
    except RankFailed as error:
        tell(error)
        return error.code
    except Interrupted as interrupted:
        if ranks().rank == 0:  # all stop together
            tell(interrupted)
        return int(interrupted.code or 0)


def _main(argv: list[str]) -> int:
    check_current_folder()
    arguments, rest, folders = parsed(argv, hydra=True)
    if arguments.help:
        with demanded_output():
            print(help_text(index.load()))
        return 0
    if arguments.multirun or _cross_validates(rest):
        from framework.cli.sweep import sweep, sweep_configs

        if not arguments.cfg:
            with unbroken_output(), reported("starting"):
                return sweep(rest, folders)
        with demanded_output():
            for words, config in sweep_configs(rest, folders):
                print(f"--- # {' '.join(words)}")
                _show(config, arguments.package)
        return 0
    if any(word.startswith("-") for word in rest):
        from framework.cli.launchers import hydra_main
        from framework.config.hydra_compose import attach

        attach(folders)
        return hydra_main(rest, lambda config: None)
    from framework.pretrained.overrides import pinned
    from framework.workflows.processes import launch
    from framework.workflows.start import Start, compose_run

    if arguments.cfg:
        with demanded_output():
            _show(compose_run(pinned(rest), folders).config, arguments.package)
    else:
        with unbroken_output(), reported("starting"):
            launch(lambda: Start.of(rest, folders))
    return 0


def _cross_validates(words: Sequence[str]) -> bool:
    """Whether a command line without -m is a sweep over the folds of a cross-validation."""
    if not any(word.lstrip("+").startswith("data.folds=") for word in words):
        return False
    from framework.config.sweeping import trains_folds
    from framework.runs.finding import wanted

    return trains_folds(words) and not wanted(words)


def parsed(argv: Sequence[str], hydra: bool = False) -> tuple[argparse.Namespace, list[str], list[Path]]:
    """Flags, overrides, and config folders of the user's own. hydra: whether flags of Hydra's own are left among the overrides.
    UserError: a flag or folder that there is not."""
    arguments, rest = _flags().parse_known_args([_as_override(word) for word in argv])
    folders = [] if arguments.config_dir is None else [Path(arguments.config_dir).resolve()]
    if folders and not folders[0].is_dir():
        raise UserError(f"--config-dir {arguments.config_dir}: there is no such folder")
    own = _HYDRAS if hydra and not arguments.cfg else ()
    if not arguments.help and (flags := [word for word in rest if word.startswith("-") and (arguments.multirun or word not in own)]):
        raise UserError(_no_such_flag(flags[0], rest))
    return arguments, rest, folders


def _as_override(word: str) -> str:
    """`--optimizer.lr=0.1`, as agents of W&B call a program, is `optimizer.lr=0.1`; only words that may be a key of ours."""
    match = re.fullmatch(r"--([\w./]+)=.*", word, re.DOTALL)
    known = match and (match[1] in (*TOP, *GROUPS) or re.split("[./]", match[1])[0] in GROUPS)
    return word.removeprefix("--") if known else word


def _no_such_flag(flag: str, words: Sequence[str]) -> str:
    """The message for an unknown flag; those of other programs are `--learning_rate 1e-3` or `--learning_rate=1e-3`."""
    name, equals, value = flag.partition("=")
    after = words[words.index(flag) + 1 :]
    value = value if equals else after[0] if after and not after[0].startswith("-") and "=" not in after[0] else "VALUE"
    known = name.lstrip("-").replace("-", "_")
    way = meant(name, (), value) or (f"{known}={value}" if known in (*TOP, *GROUPS) or "." in known else "")
    return f"{name}: there is no such flag; {f'options are KEY=VALUE: write {way}' if way else 'python train.py --help lists all'}"


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("-h", "--help", action="store_true")
    flags.add_argument("-m", "--multirun", action="store_true")
    flags.add_argument("-cd", "--config-dir")
    flags.add_argument("-c", "--cfg", choices=["job"])
    flags.add_argument("-p", "--package")
    return flags


def _show(config: Mapping[str, Any], package: str | None) -> None:
    from omegaconf import OmegaConf

    node: Any = config
    for key in package.split(".") if package else ():
        if not isinstance(node, Mapping) or key not in node:
            raise UserError(f"--package {package}: the config has no {key!r} there; --cfg job without --package prints all of it")
        node = node[key]
    print(OmegaConf.to_yaml(node) if isinstance(node, (Mapping, list)) else f"{node}\n", end="")
