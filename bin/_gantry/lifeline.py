"""Runs a module as `python -m` does, and ends it when the process that started it is gone, however that one went.

Standard input is a pipe whose other end only that process holds: the kernel closes it with the process, also after
kill -9. Unlike a parent-death signal it is known to every Unix, and cannot be missed by a child that was slow to ask.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

_GRACE_SECONDS = 12.0


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    del sys.argv[0]
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
