"""The place of this process among those that train one run together.

Ranks are started by this program, by torchrun, or by srun of SLURM with several tasks. Everything that asks for the rank asks here.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from framework.errors import UserError

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_SRUN = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
OWN = "PLUGFORMER_RANKS"  # set for ranks that this program started


@dataclass(frozen=True)
class Ranks:
    """Rank of this process, and how many there are on how many machines; the default is one process.

    launcher: what started the processes; None for one that is alone, which may start others. address, port: where rank zero listens;
    port 0 = any that is free.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    node: int = 0
    nodes: int = 1
    launcher: Literal["torchrun", "srun", "own"] | None = None
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def local_size(self) -> int:
        """Processes on each machine."""
        return self.size // self.nodes


def ranks(environment: Mapping[str, str] | None = None) -> Ranks:
    """The place that the environment describes. UserError: a variable of it is not a number."""
    variables = os.environ if environment is None else environment
    try:
        return _ranks(variables)
    except ValueError as error:
        names = (*_TORCHRUN, *(name for name in variables if name.startswith("SLURM_")))
        raise UserError(f"a variable of torchrun or SLURM is no number ({error}); look at {', '.join(sorted(names))}") from error


def _ranks(variables: Mapping[str, str]) -> Ranks:
    if all(name in variables for name in _TORCHRUN):
        rank, size, local = (int(variables[name]) for name in _TORCHRUN)
        nodes = max(1, size // int(variables.get("LOCAL_WORLD_SIZE", size)))
        node = int(variables.get("GROUP_RANK", variables.get("NODE_RANK", "0")))
        address, port = variables.get("MASTER_ADDR", "127.0.0.1"), int(variables.get("MASTER_PORT", "29500"))
        return Ranks(rank, size, local, node, nodes, "own" if OWN in variables else "torchrun", address, port)
    if _under_srun(variables):
        rank, size, local = (int(variables[name]) for name in _SRUN)
        nodes = int(variables.get("SLURM_STEP_NUM_NODES", variables.get("SLURM_NNODES", "1")))
        node = int(variables.get("SLURM_NODEID", "0"))
        address = variables.get("MASTER_ADDR") or _first_host(variables)
        return Ranks(rank, size, local, node, nodes, "srun", address, int(variables.get("MASTER_PORT") or _port(variables)))
    return Ranks()


def _under_srun(variables: Mapping[str, str]) -> bool:
    """Whether srun started this process as one of several. The shell of an allocation and the script of a batch job have variables of the
    job, but no step."""
    if not all(name in variables for name in _SRUN) or variables.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return False
    batch_script = variables.get("ENVIRONMENT") == "BATCH" and "SLURM_STEP_ID" not in variables
    return not batch_script and int(variables["SLURM_NTASKS"]) > 1


def _first_host(variables: Mapping[str, str]) -> str:
    """The first machine of the step: `gpu[5-9,12]` is gpu5. As Lightning's SLURMEnvironment."""
    names = next((variables[name] for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST") if name in variables), "")
    return re.split(r"[ ,]", re.sub(r"\[(.*?)(?:[,-][^\]]*)?\]", r"\1", names))[0] or "127.0.0.1"


def _port(variables: Mapping[str, str]) -> int:
    """A port that all tasks of a step know and other jobs are unlikely to use. Of the first step it is that of Lightning."""
    job, step = int(variables.get("SLURM_JOB_ID", "0")[-4:]), int(variables.get("SLURM_STEP_ID", "0"))
    return 15000 + (job + 97 * step) % 10000


def without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables of torchrun and SLURM, for ranks that this program starts."""
    own = (*_TORCHRUN, "NODE_RANK", "GROUP_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in environment.items() if name not in own and not name.startswith(("SLURM_", "TORCHELASTIC_"))}
