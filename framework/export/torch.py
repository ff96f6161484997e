"""Export to a `torch.export` program, which needs torch alone. https://docs.pytorch.org/docs/stable/export.html"""

from pathlib import Path

import torch

from framework.export.program import compare, export_program
from framework.export.programs import batch_program, write_interface
from framework.runs.predictor import Predictor

LIBRARY = "pytorch"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes model.pt2 with tokenizer and interface; returns the lines of Python that load it. UserError: the task does not support
    export, or the program differs from the model."""
    program = batch_program(loaded)
    exported = export_program(program)
    run = exported.module()
    with torch.no_grad():
        for number in range(3):
            inputs = program.example(**program.sizes(number))
            compare(program, [run(*inputs)], inputs, [program.module(*inputs)], "the exported program")
    torch.export.save(exported, folder / "model.pt2")
    write_interface(loaded, [program], folder)
    names = ", ".join(spec.name for spec in program.inputs)
    return [
        "import torch",
        'model = torch.export.load("FOLDER/model.pt2").module()',
        "",
        f"{program.outputs[0].name} = model({names})  # interface.json has shapes and types; tokenizer.json gives the ids",
    ]
