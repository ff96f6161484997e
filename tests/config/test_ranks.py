"""Rank and number of processes, from the variables of launchers and from `trainer.devices`."""

import pytest

from framework.errors import UserError
from framework.utils.ranks import OWN, Ranks, ranks, without_ranks
from framework.workflows import devices
from framework.workflows.devices import count_processes

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1"}
MEETING = {"MASTER_ADDR": "there", "MASTER_PORT": "12345"}
JOB = {"SLURM_JOB_ID": "1234567", "SLURM_NTASKS": "6", "SLURM_NNODES": "3", "SLURM_JOB_NODELIST": "gpu[07-08,11]"}
TASK = {"SLURM_PROCID": "4", "SLURM_LOCALID": "0", "SLURM_NODEID": "2"}
SRUN = Ranks(4, 6, 0, 2, 3, "srun", "gpu07", 19567)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Ranks()),
        ({**TORCHRUN, **MEETING}, Ranks(5, 8, 1, 1, 2, "torchrun", "there", 12345)),
        ({**TORCHRUN, **MEETING, **JOB, **TASK}, Ranks(5, 8, 1, 1, 2, "torchrun", "there", 12345)),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", **MEETING, OWN: "1"}, Ranks(1, 2, 1, 0, 1, "own", "there", 12345)),
        ({**JOB, **TASK}, SRUN),
        ({**JOB, **TASK, **MEETING}, Ranks(4, 6, 0, 2, 3, "srun", "there", 12345)),
        ({**JOB, **TASK, "SLURM_STEP_ID": "0", "ENVIRONMENT": "BATCH"}, SRUN),
        ({**JOB, **TASK, "ENVIRONMENT": "BATCH"}, Ranks()),  # the script of a batch job, without srun
        ({**JOB, **TASK, "SLURM_JOB_NAME": "interactive"}, Ranks()),
        ({**JOB, **TASK, "SLURM_JOB_NAME": "bash"}, Ranks()),
        ({**JOB, **TASK, "SLURM_NTASKS": "1"}, Ranks()),  # it may start ranks of its own
        (JOB, Ranks()),  # the shell of an allocation
        ({"LOCAL_RANK": "0"}, Ranks()),
    ],
)
def test_ranks(variables, expected):
    assert ranks(variables) == expected


@pytest.mark.parametrize(
    ("names", "host"), [("a", "a"), ("a,b", "a"), ("a b", "a"), ("n[1-3]", "n1"), ("n[5,7].x", "n5.x"), ("n[09]", "n09"), ("", "127.0.0.1")]
)
def test_the_first_host_of_a_list(names, host):
    assert ranks({**JOB, **TASK, "SLURM_JOB_NODELIST": names}).address == host


def test_two_steps_of_a_job_meet_at_different_ports():
    assert len({ranks({**JOB, **TASK, "SLURM_STEP_ID": str(step)}).port for step in range(50)}) == 50


def test_a_variable_that_is_no_number():
    with pytest.raises(UserError, match=r"'x'.*SLURM_PROCID"):
        ranks({**JOB, **TASK, "SLURM_PROCID": "x"})


def test_ranks_of_ours_get_no_variables_of_launchers():
    assert without_ranks({**TORCHRUN, **MEETING, **JOB, **TASK, "HOME": "here"}) == {"HOME": "here"}


@pytest.mark.parametrize(
    ("wanted", "gpus", "count"),
    [
        (1, None, 1),
        ("3", None, 3),
        ("auto", None, 1),
        ("auto", 2, 2),
        (-1, 4, 4),
        ("-1", 4, 4),
        ([0, 3], 4, 2),
        ("0,3", 4, 2),
        ("[1]", 4, None),
        (0, None, None),
        (-2, None, None),
        (-1, None, 1),
        (True, None, None),
        ("x", None, None),
        (1.5, None, None),
        (None, None, None),
        (100_000, None, None),
        (5, 4, None),
        ([], 4, None),
        ([0, 0], 4, None),
        ([0, -1], 4, None),
        ([0, 4], 4, None),
        ([0, 1], None, None),
    ],
)
def test_processes_by_devices(monkeypatch, wanted, gpus, count):
    monkeypatch.setattr(devices, "_gpus", lambda accelerator: gpus)
    if count is not None:
        assert count_processes({"devices": wanted}, Ranks()) == count
    else:
        with pytest.raises(UserError, match=r"trainer\.devices=") as refusal:
            count_processes({"devices": wanted}, Ranks())
        assert len(str(refusal.value).splitlines()) <= 2


def test_devices_are_those_that_a_launcher_has_started():
    place = Ranks(size=4, nodes=2, launcher="srun")
    assert count_processes({"devices": 2, "num_nodes": 2, "accelerator": "cpu"}, place) == 2
    for trainer in ({"devices": 4}, {"devices": 1, "num_nodes": 4}, {}):
        with pytest.raises(UserError, match=r"set trainer\.devices=2 trainer\.num_nodes=2"):
            count_processes({"accelerator": "cpu", **trainer}, place)
    with pytest.raises(UserError, match="torchrun --nnodes 2 --nproc_per_node 3"):
        count_processes({"devices": 3, "num_nodes": 2, "accelerator": "cpu"}, Ranks())
