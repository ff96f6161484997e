"""Runs a contract test on a part that is wrong on purpose."""

from typing import Any

import pytest

from framework.registry import Part
from framework.testing import BrokenPromise, Inapplicable


def assert_rejected(suite: type, promise: str, part: Part | type, **attributes: Any) -> None:
    """The contract test of this name, and no other error, rejects the part."""
    part = part if isinstance(part, Part) else Part(part)
    held: Any = type("Suite", (suite,), {"part": part, **attributes})()
    (method,) = (name for name in dir(suite) if name.startswith(f"test_{promise.replace(' ', '_').replace('-', '_')}"))
    with pytest.raises(BrokenPromise, match=f"^{promise}"):
        try:
            getattr(held, method)()
        except Inapplicable as reason:
            pytest.fail(f"skipped: {reason}")


def assert_accepted(suite: type, part: Part | type, **attributes: Any) -> None:
    """No contract test rejects the part, and not all are skipped."""
    part = part if isinstance(part, Part) else Part(part)
    held: Any = type("Suite", (suite,), {"part": part, **attributes})()
    ran = 0
    for name in dir(suite):
        if name.startswith("test_"):
            try:
                getattr(held, name)()
                ran += 1
            except pytest.skip.Exception:
                continue
            except Exception as error:
                if type(error).__name__ != "Inapplicable":
                    raise
    assert ran
