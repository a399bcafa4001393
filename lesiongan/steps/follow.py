"""A process that ends with another one."""

from __future__ import annotations

import os
import select
import signal
import threading
import time


def follow(pid: int) -> None:
    """Ends this process as soon as the process `pid` has ended, however it ended.

    That one need not be the parent (a shell may be), so a parent-death signal would not reach; a file descriptor of its
    process does.
    """
    try:
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        os.kill(pid, 0)
    except OSError:
        os.kill(os.getpid(), signal.SIGKILL)

    def wait() -> None:
        if handle is not None:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll()
        else:
            while True:
                time.sleep(0.5)
                try:
                    os.kill(pid, 0)
                except OSError:
                    break
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
