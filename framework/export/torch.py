"""A run as a program of `torch.export`: runs wherever torch does, without this framework, on batches of any size."""

from pathlib import Path

import torch

from framework.export.program import compare, export_program
from framework.export.programs import batch_program
from framework.export.sides import write_sides
from framework.runs.predictor import Predictor

LIBRARY = "pytorch"


def write(loaded: Predictor, folder: Path) -> list[str]:
    """Writes model.pt2 and what it takes to feed it. Gives the lines that load it. UserError: the task says nothing that a program could
    compute, or the program computes something else."""
    program = batch_program(loaded)
    exported = export_program(program)
    run = exported.module()
    with torch.no_grad():
        for number in range(3):
            inputs = program.example(**program.sizes(number))
            compare(program, [run(*inputs)], inputs, [program.module(*inputs)], "the exported program")
    torch.export.save(exported, folder / "model.pt2")
    write_sides(loaded, [program], folder)
    names = ", ".join(spec.name for spec in program.inputs)
    return [
        "import torch",
        'model = torch.export.load("FOLDER/model.pt2").module()',
        "",
        f"{program.outputs[0].name} = model({names})  # interface.json has shapes and types; tokenizer.json gives the ids",
    ]
