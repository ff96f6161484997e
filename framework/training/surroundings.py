"""Cluster environment and signal connector for Lightning: ranks and signals are decided by this framework."""

from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector

from framework.utils.ranks import Ranks, ranks


class RankEnvironment(LightningEnvironment):
    """The place of this process among its ranks, as `utils.ranks` finds it; Lightning's own detection goes by other variables."""

    def __init__(self, place: Ranks):
        super().__init__()
        self.place = place

    creates_processes_externally = property(lambda self: True)
    main_address = property(lambda self: self.place.address)
    main_port = property(lambda self: self.place.port)

    def world_size(self) -> int:
        return self.place.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.place.local_rank

    def node_rank(self) -> int:
        return self.place.node

    def teardown(self) -> None:
        pass


def cluster_environment() -> LightningEnvironment:
    """Of this process. One that is alone is so for Lightning too, in a job of SLURM as well."""
    place = ranks()
    return LightningEnvironment() if place.launcher is None else RankEnvironment(place)


class NoSignals(_SignalConnector):
    """Leaves signals to `interruption`: Lightning's own handlers broadcast within a handler, save files of their own, and requeue."""

    def register_signal_handlers(self) -> None:
        pass
