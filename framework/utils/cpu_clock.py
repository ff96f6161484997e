"""CPU-seconds of a run: of this process since it began, or since the job of a sweep did that it trains now."""

import time

_began = 0.0


def restart() -> None:
    """Another run begins in this process."""
    global _began
    _began = time.process_time()


def cpu_seconds() -> float:
    return time.process_time() - _began
