"""The start of a run: its config and everything that is opened for it, made once and handed down."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.config.compose import Composed, checked, compose, default_name
from framework.config.quoting import quoted
from framework.errors import UserError
from framework.pretrained.frozen import FrozenModel, open_frozen
from framework.pretrained.overrides import overrides_from, pinned
from framework.pretrained.source import PretrainedSource, Sources
from framework.pretrained.tokenizer import with_tokenizer
from framework.runs import lock
from framework.runs.finding import newest, point_last, resumes, wanted
from framework.runs.folder import Run
from framework.runs.life import recorded, standing
from framework.runs.resume import changed
from framework.utils.ranks import ranks
from framework.workflows.devices import count_processes
from framework.workflows.preflight import preflight

if TYPE_CHECKING:
    from framework.data.module import Prepared


@dataclass(frozen=True)
class Start:
    """A run that is about to start or to resume.

    config: plain and explicit. overrides: typed, and before them those that the pretrained model stands for; of a resumed run the new
    ones. chosen: group -> option. pretrained: source of the initial weights; None if there is none, or if the run has a checkpoint to
    resume from. run: its folder, None until it has one. prepared: its data, None until it is encoded.
    compose: composes the same command line again, with settings that the task chooses from the training rows; None where it may choose
    none. settings: a line for each that was chosen, from the rows or for the device.
    once: whether there must be no other run of that task and name (`resume=auto`). place: the folder for the run of a sweep's job.
    back_to: the kept checkpoint that the run goes back to before it goes on; None = none.
    """

    config: dict[str, Any]
    overrides: list[str]
    chosen: dict[str, str]
    pretrained: PretrainedSource | None = None
    frozen: Sequence[FrozenModel] = ()
    run: Run | None = None
    prepared: "Prepared | None" = None
    once: bool = False
    compose: Callable[[Mapping[str, Any]], Composed] | None = None
    settings: Sequence[str] = ()
    place: Path | None = None
    back_to: Path | None = None

    @classmethod
    def of(cls, overrides: Sequence[str], folders: Iterable[Path] = ()) -> "Start":
        """The start that a command line describes: `resume=RUN` resumes that run, `resume=auto name=X` the newest run named X if there
        is one. `resume=RUN/checkpoints/FILE.ckpt` goes back to a checkpoint that was kept. folders: config folders of the user's
        own. UserError: everything that is wrong and can be seen before data is encoded."""
        resumed = wanted(overrides)
        overrides, folders, sources = pinned([word for word in overrides if not resumes(word)]), list(folders), Sources()

        if resumed not in (None, "auto"):
            back_to, folder = checkpoint_of(Path(resumed))
            return replace(cls.resumed(Run.open(folder), overrides, folders), back_to=back_to)
        composed = compose_run(overrides, folders, sources)
        known: list[tuple[Mapping[str, Any], Composed]] = [({}, composed)]  # composing takes a good part of a second

        def again(settings: Mapping[str, Any]) -> Composed:
            if found := [result for values, result in known if values == settings]:
                return found[0]
            known.append((settings, compose_run(overrides, folders, sources, settings)))
            return known[-1][1]

        if resumed is None:
            return replace(cls.fresh(composed, sources), compose=again)
        if not is_named(composed):
            raise UserError("resume=auto needs name=NAME: the run to resume, or to start if there is none.")
        run = newest(_runs(composed.config), _task(composed.config), composed.config["name"])
        if run is None:
            return replace(cls.fresh(composed, sources), once=True, compose=again)
        # the command that started the run: its own overrides are no changes
        return cls.resumed(run, [word for word in overrides if word not in run.overrides()], folders)

    @classmethod
    def fresh(cls, composed: Composed, sources: Sources) -> "Start":
        """A new run of a composed config. UserError: everything that is wrong and can be seen before data is encoded."""
        config = composed.config
        name = config["model"].get("pretrained")
        pretrained = sources.open(name) if name else None
        frozen = open_frozen(config, sources)
        config = with_tokenizer(config, composed.overrides, pretrained, frozen)
        preflight(config, composed.overrides, pretrained, frozen, resumes=False)
        return cls(config, composed.overrides, composed.chosen, pretrained, frozen)

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> "Start":
        """A new run of an explicit config. UserError: as `fresh`."""
        return cls.fresh(Composed(checked(config, []), [], {}), Sources())

    @classmethod
    def resumed(cls, run: Run, overrides: Sequence[str] = (), folders: Sequence[Path] = ()) -> "Start":
        """A run that goes on in its folder, its config changed by overrides. UserError: a change that it does not allow, or its data or
        teacher or reference is gone."""
        config = changed(run, overrides, folders, training=True)
        start = cls.of_run(run, config)
        preflight(config, [*start.overrides, *overrides], start.pretrained, start.frozen, start.resumes)
        return replace(start, overrides=list(overrides))

    @classmethod
    def of_run(cls, run: Run, config: dict[str, Any] | None = None) -> "Start":
        """The start of a run whose folder exists, unchecked: what each process of several opens for itself."""
        config, sources = run.config() if config is None else config, Sources()
        name = None if run.last.exists() else config["model"].get("pretrained")
        pretrained = sources.open(name) if name else None
        return cls(config, run.overrides(), run.chosen(), pretrained, open_frozen(config, sources), run)

    @property
    def resumes(self) -> bool:
        """Whether training goes on from a checkpoint."""
        return self.run is not None and self.run.last.exists()

    def prepare(self) -> "Start":
        """With the data encoded, or taken from the cache. UserError: what is wrong with the data.

        A run with a checkpoint keeps its tokenizer and data spec.
        """
        from framework.data.cache import checked_once
        from framework.runs.build import prepare_data

        with checked_once():
            start = self._with_settings()._with_precision()
            prepared = prepare_data(start.config, self.run.folder if self.run and self.resumes else None)
        return replace(start, prepared=prepared)

    def _with_settings(self) -> "Start":
        """With the settings that the task chooses from the training rows."""
        from framework.workflows.settings import chosen_settings, setting_lines

        chosen = None if self.compose is None else chosen_settings(self.config, self.compose)
        if chosen is None:
            return self
        composed, settings = chosen
        config = with_tokenizer(composed.config, composed.overrides, self.pretrained, self.frozen)
        return replace(self, config=config, settings=setting_lines(settings, composed), compose=None)

    def _with_precision(self) -> "Start":
        """With a precision, if nobody has chosen one. A run that has a folder keeps its own."""
        from framework.workflows.precision import with_precision

        if self.run is not None:
            return self
        config, lines = with_precision(self.config)
        return replace(self, config=dict(config), settings=[*self.settings, *lines])

    def check_free(self) -> "Start":
        """UserError: another process trains in the folder of the run. Before data is encoded, which may take long."""
        if self.run is not None:
            lock.check(self.run.folder)
        return self

    @contextmanager
    def opened(self) -> Iterator["Start"]:
        """With the folder of the run: a new one, or the one that is resumed, with its changed config. Inside the block the run is locked
        and its life recorded in run.json; `runs/last` points to it.

        UserError: an option does not fit the prepared data; another process trains in the folder; the checkpoint to resume from is
        damaged, or training cannot go on from it with these options: the folder is then left as it is.
        """
        trainer = self.config["trainer"]
        processes = count_processes(trainer, ranks()) * trainer.get("num_nodes", 1)
        if self.prepared is not None:
            from framework.workflows.trial import try_task

            try_task(self.config, self.prepared, processes, short="debug" in self.chosen)  # debug=fast cuts any run short
        run = self.run or self._new_folder()
        with lock.held(run.folder):
            if self.run is not None:
                if self.back_to is not None:
                    from framework.training.checkpoint_files import go_back

                    check_place(self.back_to, trainer, processes)
                    go_back(self.back_to, run.last)
                elif self.resumes:
                    check_place(run.last, trainer, processes)
                else:
                    print(f"{run.folder} has no checkpoint yet: the run starts from its beginning", flush=True)
                run.go_on(self.config, self.overrides)
            _point_last(self.config, run)
            with recorded(run):
                yield self.in_folder(run)

    def _new_folder(self) -> Run:
        """A new folder. UserError: another process has made one of that name since this one looked."""
        task = _task(self.config)
        if self.once and (other := newest(_runs(self.config), task, self.config["name"])):
            raise UserError(f"{other.folder} was made meanwhile, and {standing(other)}. Wait for it, or repeat the command to resume it")
        return Run.create(_runs(self.config), task, self.config, self.overrides, self.chosen, self.settings, self.place)

    def in_folder(self, run: Run) -> "Start":
        """In a folder that exists, with the config that stands in it: the same in one process and in several."""
        return replace(self, run=run, config=run.config())


def checkpoint_of(path: Path) -> tuple[Path | None, Path]:
    """The checkpoint to go back to that a path names, None if it is a folder; and the folder of its run. UserError: there is none."""
    if path.suffix != ".ckpt":
        return None, path
    if not path.is_file():
        there = ", ".join(sorted(each.name for each in path.parent.glob("*.ckpt"))) or "no checkpoints"
        raise UserError(f"{path}: there is no such checkpoint; {path.parent} has {there}")
    return path.resolve(), path.resolve().parent.parent


def check_place(checkpoint: Path, trainer: Mapping[str, Any], processes: int) -> None:
    """UserError: the checkpoint to resume from is damaged, or training cannot go on at its place with these options of the trainer.
    processes: on all machines."""
    from framework.training.place import Place
    from framework.weights.torch_files import read_checkpoint

    Place.of(read_checkpoint(checkpoint)).check(trainer.get("max_epochs"), trainer.get("max_steps", -1), processes)


def compose_run(
    overrides: Sequence[str], folders: Iterable[Path] = (), sources: Sources | None = None, settings: Mapping[str, Any] | None = None
) -> Composed:
    """The explicit config of a command line, with the options of the published model that it names, and with settings that the task
    chooses from the training rows.

    UserError: everything that is wrong with it.
    """
    overrides = quoted(overrides)
    return compose(overrides, folders, overrides_from(overrides, sources or Sources()), settings=settings)


def is_named(composed: Composed) -> bool:
    """Whether the user, or an experiment, gave the run its name."""
    return composed.config["name"] != default_name(composed.config, composed.overrides)


def _point_last(config: Mapping[str, Any], run: Run) -> None:
    """Points `last` to the run, where that is possible: a run elsewhere may be resumed from a folder that cannot be written to."""
    try:
        point_last(_runs(config), run.folder)
    except (OSError, UserError) as error:
        print(f"{_runs(config) / 'last'} does not point to this run: {error}", file=sys.stderr)


def _runs(config: Mapping[str, Any]) -> Path:
    return Path(config["runs"]).expanduser()


def _task(config: Mapping[str, Any]) -> str:
    return str(config["task"]["part"]).partition("/")[2]
