"""Contract tests of published model families (kind `family`), with a toy config.json and random weights."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file

from framework import registry
from framework.config import catalogue as index
from framework.data.spec import DataSpec
from framework.errors import UserError
from framework.huggingface.family import REQUIRED, Config, Family
from framework.huggingface.folder import CONFIG, load_model
from framework.huggingface.node import model_node
from framework.huggingface.writing import model_config, to_hf_weights, write_json
from framework.registry import as_part
from framework.testing.contract import KindPromises, require
from framework.testing.promise import BrokenPromise
from framework.testing.toy_models import forward, texts

VOCABULARY = 40


class FamilyPromises(KindPromises):
    """Contract tests of a published family.

    config: entries of a toy config.json, which has sizes of its own beside `model_type`, the vocabulary and the special tokens.
    """

    config: ClassVar[Config]

    def family(self) -> Family:
        return self.with_values()()

    def hf_config(self) -> Config:
        special = {"vocab_size": VOCABULARY, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
        return {"model_type": self.family().model_type, **special, **self.config}

    def node(self, config: Config | None = None) -> dict[str, Any]:
        """The config node of the model of a config.json."""
        return model_node(self.family().from_hf(config or self.hf_config(), ()), index.load())

    def spec(self) -> DataSpec:
        return DataSpec(VOCABULARY, self.node()["max_length"], padding=1, begin=0, end=2)

    def model(self) -> torch.nn.Module:
        torch.manual_seed(0)
        model = as_part(self.node())(spec=self.spec())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model.eval()

    def test_is_found_by_its_config(self) -> None:
        """A config.json of the family is of this family alone."""
        require(self.family().matches(self.hf_config()), "is found by its config: matches() refuses a config.json of the family")
        names = [name for name in index.load().options["family"] if registry.get(f"family/{name}")().matches(self.hf_config())]
        require(len(names) == 1, f"is found by its config: the families {', '.join(names)} match the same config.json")

    def test_reads_what_it_writes(self) -> None:
        """A model that was read from a config.json is written as one that gives the same model, and has the entries of the first."""
        family, config, node = self.family(), self.hf_config(), self.node()
        try:
            written = family.to_hf(node, self.spec())
        except UserError as error:
            raise BrokenPromise(f"reads what it writes: the model of its own config.json is refused: {error}") from error
        again = self.node({**config, **written})
        differing = sorted(key for key in {*node, *again} if node.get(key) != again.get(key))
        require(node == again, f"reads what it writes: {', '.join(differing)} of the model differs once it is written and read")
        lost = [key for key in self.config if key not in written and key in {option.key for option in family.options}]
        require(not lost, f"reads what it writes: {', '.join(lost)} is read, and not written")

    def test_names_every_weight(self) -> None:
        """Every weight of the model has a published name, no two share one, and each comes back from its file as it was."""
        state = {f"model.{name}": value for name, value in self.model().state_dict().items()}
        table = self.family().weight_table(node=self.node())
        missing = table.missing(state)
        require(not missing, f"names every weight: there is no name for {', '.join(missing[:3])}")
        written = list(table.to_hf(state))
        names = [name for name, _ in written]
        twice = sorted({name for name in names if names.count(name) > 1})
        require(not twice, f"names every weight: two weights are written as {', '.join(twice[:3])}")
        slices, unexpected = table.from_hf(names)
        require(not unexpected, f"names every weight: {', '.join(unexpected[:3])} is written, and not read")
        lost = sorted(state.keys() ^ slices.keys())
        require(not lost, f"names every weight: {', '.join(lost[:3])} is written or read alone")
        tensors = dict(written)
        for name, value in state.items():
            got = slices[name].view(tensors[slices[name].hf_name])
            require(got.shape == value.shape and torch.equal(got, value), f"names every weight: {name} comes back as another tensor")

    def test_its_folder_is_opened(self) -> None:
        """A folder with config.json and weights in its layout is loaded as a model with the same outputs."""
        family, model = self.family(), self.model()
        state = {f"model.{name}": value for name, value in model.state_dict().items()}
        with tempfile.TemporaryDirectory() as folder:
            config = model_config(family.to_hf(self.node(), self.spec()), family.base_architecture, self.spec(), {}, None)
            write_json(Path(folder) / CONFIG, {**self.hf_config(), **config})
            save_file(to_hf_weights(family, state, None), Path(folder) / "model.safetensors", metadata={"format": "pt"})
            try:
                loaded = load_model(folder)
            except UserError as error:
                raise BrokenPromise(f"its folder is opened: {error}") from error
        rows, sources = torch.stack(texts(6, 6)), torch.stack(texts(5, 5))
        with torch.no_grad():
            difference = (forward(loaded, rows, sources) - forward(model, rows, sources)).abs().max().item()
        require(difference < 1e-5, f"its folder is opened: outputs of the loaded model differ by {difference:.2g}")

    def test_has_a_class_for_each_task(self) -> None:
        """Each task has a published class of its own, by which it is recognized."""
        family = self.family()
        require(family.base_architecture, "has a class for each task: base_architecture is empty")
        names = [family.base_architecture, *(head.architecture for head in family.task_heads.values())]
        require(len({*names}) == len(names), f"has a class for each task: two tasks share one of {', '.join(names)}")
        for task, head in family.task_heads.items():
            found = family.hf_task({"architectures": [head.architecture]})
            require(found == task, f"has a class for each task: {head.architecture} is read as {found}, and is of {task}")

    def test_refuses_what_it_does_not_compute(self) -> None:
        """A missing size and another value of a constant are refused with a message that names the key."""
        family, config = self.family(), self.hf_config()
        wrong = [({key: value for key, value in config.items() if key != option.key}, option.key) for option in family.options]
        required = {option.key for option in family.options if option.default is REQUIRED}
        cases = [(case, key) for case, key in wrong if key in required]
        cases += [({**config, key: "another"}, key) for key in family.constants]
        for case, key in cases:
            try:
                family.from_hf(case, ())
            except UserError as error:
                require(key in str(error), f"refuses what it does not compute: the message does not name {key}: {error}")
            else:
                state = "another value of" if key in family.constants else "no"
                require(False, f"refuses what it does not compute: a config.json with {state} {key} is taken")
