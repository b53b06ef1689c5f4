"""Files in the data directory: for their owner only, and never through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

MODE = 0o600
#: Flags that some systems do not have.
_NO_LINK, _NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
_NOT_INHERITED, _NO_TEXT = getattr(os, "O_CLOEXEC", 0), getattr(os, "O_BINARY", 0)


def open_private(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file, made if ``flags`` ask for it, and return its descriptor.

    Others lose what rights they had on it.

    Raises ``OSError``, also for a symbolic link and for what is not a regular file.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for its other end.
        descriptor = os.open(path, flags | _NO_LINK | _NO_WAIT | _NOT_INHERITED | _NO_TEXT, MODE)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        # Windows has neither owners nor rights of this kind.
        if hasattr(os, "fchmod") and stat.S_IMODE(status.st_mode) & ~MODE and status.st_uid == os.geteuid():
            os.fchmod(descriptor, MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_private(path: Path) -> bytes:
    """Return what is in a file. Raises as :func:`open_private`."""
    with open(open_private(path, os.O_RDONLY), "rb") as file:
        return file.read()


def write_private(path: Path, data: bytes) -> None:
    """Put ``data`` into a new file in the place of what was there. Raises ``OSError``."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:  # mode 0600
        file.write(data)
    os.replace(file.name, path)
