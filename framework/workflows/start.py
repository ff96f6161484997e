"""The start of a run: its config and everything that is opened for it, made once and handed down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.config.compose import Composed, checked, compose
from framework.pretrained.frozen import FrozenModel, open_frozen
from framework.pretrained.overrides import overrides_from, pinned
from framework.pretrained.source import PretrainedSource, Sources
from framework.pretrained.tokenizer import with_tokenizer
from framework.runs.folder import RUNS, Run
from framework.runs.resume import changed, run_to_resume
from framework.workflows.preflight import preflight

if TYPE_CHECKING:
    from framework.data.module import Prepared


@dataclass(frozen=True)
class Start:
    """A run that is about to start or to resume.

    config: plain and explicit. overrides: typed, and before them those that the pretrained model stands for; of a resumed run the new
    ones. chosen: group -> option. pretrained: source of the initial weights; None if there is none, or if the run has a checkpoint to
    resume from. run: its folder, None until it has one. prepared: its data, None until it is encoded.
    """

    config: dict[str, Any]
    overrides: list[str]
    chosen: dict[str, str]
    pretrained: PretrainedSource | None = None
    frozen: Sequence[FrozenModel] = ()
    run: Run | None = None
    prepared: "Prepared | None" = None

    @classmethod
    def of(cls, overrides: Sequence[str], folders: Iterable[Path] = ()) -> "Start":
        """The start that a command line describes: `resume=RUN` resumes that run, `resume=auto name=X` the newest run named X if there
        is one. folders: config folders of the user's own. UserError: everything that is wrong and can be seen before data is encoded."""
        overrides, folders, sources = pinned(overrides), list(folders), Sources()
        if not any(word.startswith("resume=") for word in overrides):
            return cls.fresh(compose_run(overrides, folders, sources), sources)
        composed = name = None
        if "resume=auto" in overrides:
            composed = compose_run([word for word in overrides if word != "resume=auto"], folders, sources)
            name = next((word.partition("=")[2] for word in overrides if word.startswith("name=")), None)
        run = run_to_resume(overrides, RUNS, name, _task(composed.config) if composed else None)
        if run is None:
            return cls.fresh(composed or compose_run(overrides, folders, sources), sources)
        if composed is not None:  # the command that started the run: its own overrides are no changes
            overrides = [word for word in overrides if word not in run.overrides()]
        return cls.resumed(run, overrides, folders)

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
        from framework.runs.build import prepare_data

        return replace(self, prepared=prepare_data(self.config, self.run.folder if self.run and self.resumes else None))

    def open_folder(self, processes: int = 1) -> "Start":
        """With the folder of the run: a new one, or the one that is resumed, with its changed config. UserError: an option does not fit
        the prepared data, or the checkpoint to resume from is damaged; the folder is then left as it is. processes: of the run."""
        if self.prepared is not None:
            from framework.workflows.trial import try_task

            try_task(self.config, self.prepared, processes, short="debug" in self.chosen)  # debug=fast cuts any run short
        if self.run is None:
            run = Run.create(RUNS, _task(self.config), self.config, self.overrides, self.chosen)
        else:
            if self.resumes:
                from framework.weights.torch_files import read_checkpoint

                read_checkpoint(self.run.last)
            run = self.run.go_on(self.config, self.overrides)
        return self.in_folder(run)

    def in_folder(self, run: Run) -> "Start":
        """In a folder that exists, with the config that stands in it: the same in one process and in several."""
        return replace(self, run=run, config=run.config())


def compose_run(overrides: Sequence[str], folders: Iterable[Path] = (), sources: Sources | None = None) -> Composed:
    """The explicit config of a command line, with the options of the published model that it names.

    UserError: everything that is wrong with it.
    """
    return compose(list(overrides), folders, overrides_from(overrides, sources or Sources()))


def _task(config: Mapping[str, Any]) -> str:
    return str(config["task"]["part"]).partition("/")[2]
