"""What the kernel at hand knows: an attack by a call that it lacks is no row of the table there."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_LACKING: Final = (errno.ENOSYS, errno.EPERM, errno.EAFNOSUPPORT)


def has_call(*arguments: int) -> bool:
    """Whether this kernel carries out a call for us, asked by number with harmless arguments.

    Some calls are younger than kernels that we run on, and some are kept from everybody, by a
    container or a setting. A descriptor that is the answer is closed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(*(ctypes.c_long(each) for each in arguments))
    if answer > 0:
        os.close(answer)
    return answer >= 0 or ctypes.get_errno() not in _LACKING
