"""A worker that dies (or hangs) at a given stage, for the tests of the child process."""

from __future__ import annotations

import os
import sys
import time

from onnxopt.runtime import inside, worker

_how, _stage, _folder = sys.argv[1:]
_report = inside.Steps.__call__


def _report_then_fail(self: inside.Steps, stage: str, sample: int) -> None:
    _report(self, stage, sample)
    if stage != _stage:
        return
    if _how == "abort":
        sys.stderr.write("first line\nterminate called: out of luck\n")
        sys.stderr.flush()
        os.abort()
    elif _how == "exit":
        os._exit(7)
    time.sleep(600)


inside.Steps.__call__ = _report_then_fail  # type: ignore[method-assign]
sys.argv = [sys.argv[0], _folder]
worker.main()
