"""Gets the vendor's SDK, unmodified, from the npm registry.

The SDK is Infrared5's: its licence allows use with Red5 Pro and no redistribution, so it is fetched for the tests, kept in the
git-ignored ``.cache`` and never committed. Whoever runs the tests accepts the licence that comes with it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"


class SdkMissing(Exception):
    """The SDK cannot be had; the message says what to install or to do."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One version of the SDK in the npm registry."""

    package: str
    version: str
    integrity: str

    @property
    def directory(self) -> Path:
        """Where it is unpacked."""
        return CACHE / f"{self.package}-{self.version}"

    @property
    def script(self) -> Path:
        """The file that pages load."""
        return self.directory / "package" / "red5pro-sdk.min.js"

    def obtain(self) -> Path:
        """Return the script, fetching the package on first use.

        Raises:
            SdkMissing: There is no npm, no registry, or the package is not the one that these tests were written for.
        """
        self.obtain_package()
        return self.script

    def obtain_package(self) -> Path:
        """Return the directory of the unpacked package, as :meth:`obtain` does. The archive's digest is checked each time."""
        archive = CACHE / f"{self.package}-{self.version}.tgz"
        if not archive.exists():
            self._fetch(archive)
        found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != self.integrity:
            raise SdkMissing(f"{archive} is not the published package: delete it and run the tests again")
        if not self.directory.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder, tarfile.open(archive) as tar:
                unpacked = Path(folder, "unpacked")
                tar.extractall(unpacked, filter="data")
                # Tests run side by side: whoever is first puts the whole package there at once.
                with contextlib.suppress(OSError):
                    unpacked.rename(self.directory)
        return self.directory / "package"

    def _fetch(self, archive: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise SdkMissing("npm is missing: install it (Debian, Ubuntu: apt-get install npm) to fetch the vendor SDK")
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            name = f"{self.package}@{self.version}"
            command = [npm, "pack", name, "--pack-destination", folder, "--loglevel", "error"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["npm said nothing"]
                raise SdkMissing(f"npm pack {name} failed: {lines[0]}")
            (packed,) = Path(folder).glob("*.tgz")
            packed.replace(archive)


SDK_11 = Sdk(
    "red5pro-webrtc-sdk",
    "11.0.0",
    "sha512-NHF3/FLmDYSiIna0dmB1z3NFSGxG4eVXNdjiDnnI1hzRmmI3XiEe1Fc44G7JYM2QKX3FX9bDJ39elHXCAi7Wug==",
)
#: The last major version before the data channel switch.
SDK_7 = Sdk(
    "red5pro-html-sdk",
    "7.2.2",
    "sha512-78MDCPNognYZ64+Z9KCfa3cHQQLj6qkrUHxt68cDY3UkjXp1EpizWphWwShLbcxz4mc7z+YN1DthlmG3hsko/A==",
)
SDKS = (SDK_11, SDK_7)
#: A WHIP and WHEP client that is not the vendor's.
WHIP_WHEP = Sdk(
    "whip-whep",
    "1.2.0",
    "sha512-CP+Tht3O/N6QLebW5LxsNKgzFN5KX6WinLr1SLs74feagYu+Gqy+0dw48p5RQuE+FlrM4xyOlOdW2UOQwljImA==",
)
#: An HLS player for browsers that have none.
HLS_JS = Sdk(
    "hls.js",
    "1.7.4",
    "sha512-3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg==",
)


def main() -> int:
    """Fetch what the browser tests need, before they run side by side."""
    try:
        for package in (*SDKS, WHIP_WHEP, HLS_JS):
            package.obtain_package()
    except SdkMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
