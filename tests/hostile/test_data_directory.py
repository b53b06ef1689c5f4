"""A data directory in which somebody else has put files before us (A12)."""

from __future__ import annotations

import datetime
import os
import re
import stat
from pathlib import Path

import pytest
from smproxy.certificates import self_signed
from smproxy.hooks.journal import FILE_NAME, Journal, JournalError
from smproxy.private_files import open_private
from smproxy.signaling.clock import Clock

NOW = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}.lock", f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"])
async def test_the_journal_follows_no_link(tmp_path: Path, name: str) -> None:
    """A symbolic link in the place of one of the journal's files stops the start with one line that names it, and what it
    points to stays as it is."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / name).symlink_to(elsewhere)
    expected = (
        rf"^the journal.* {re.escape(str(tmp_path / FILE_NAME))}\S* cannot be opened \(it is a symbolic link\): [^\n]*$"
    )
    with pytest.raises(JournalError, match=expected):
        await Journal.start(tmp_path / FILE_NAME, clock=Clock())
    assert elsewhere.read_text() == "mine"


async def test_the_journal_waits_for_no_pipe(tmp_path: Path) -> None:
    """A named pipe in the place of the lock is refused at once."""
    os.mkfifo(tmp_path / f"{FILE_NAME}.lock")
    with pytest.raises(JournalError, match="not a regular file"):
        await Journal.start(tmp_path / FILE_NAME, clock=Clock())


async def test_the_journal_is_private(tmp_path: Path) -> None:
    """Files that others may read or write are for their owner only from the start on."""
    for name in (FILE_NAME, f"{FILE_NAME}.lock"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    journal = await Journal.start(tmp_path / FILE_NAME, clock=Clock())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    await journal.stop()
    assert set(modes) >= {FILE_NAME, f"{FILE_NAME}.lock"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["authority.pem", "authority-key.pem", "certificate.pem", "key.pem"])
def test_certificates_follow_no_link(tmp_path: Path, name: str) -> None:
    """A symbolic link in the place of a certificate or key is replaced or refused; what it points to stays as it is."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    tls = tmp_path / "tls"
    tls.mkdir()
    (tls / name).symlink_to(elsewhere)
    try:
        self_signed(tls, ["127.0.0.1"], NOW)
    except OSError as error:
        assert error.strerror == "it is a symbolic link"  # noqa: PT017 - both are right
        assert error.filename == str(tls / name)  # noqa: PT017
    else:
        assert not (tls / name).is_symlink()
    assert elsewhere.read_text() == "mine"


@pytest.mark.parametrize("name", ["authority-key.pem", "key.pem"])
def test_a_kept_key_is_private(tmp_path: Path, name: str) -> None:
    """A key that is used again is for its owner only, whatever its mode was."""
    self_signed(tmp_path, ["127.0.0.1"], NOW)
    key = (tmp_path / name).read_bytes()
    (tmp_path / name).chmod(0o666)
    self_signed(tmp_path, ["127.0.0.1"], NOW)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert (tmp_path / name).read_bytes() == key


def test_a_private_file_is_not_made_unless_asked_for(tmp_path: Path) -> None:
    """Opening for reading makes no file."""
    with pytest.raises(FileNotFoundError):
        open_private(tmp_path / "none", os.O_RDONLY)
    assert not list(tmp_path.iterdir())
