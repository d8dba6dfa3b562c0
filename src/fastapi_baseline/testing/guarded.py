"""Runs a module as a program that ends when the process that started it does.

`python -m fastapi_baseline.testing.guarded uvicorn app:app` is `python -m uvicorn app:app`, except
that its standard input is a pipe which nobody writes to: that it ends means that the test is dead.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_the_parent() -> None:
    # Not through sys.stdin, whose lock the interpreter needs when it ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
