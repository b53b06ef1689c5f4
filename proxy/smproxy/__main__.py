"""``smproxy``, and ``python -m smproxy``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; Ctrl-C during the imports shows no traceback."""
    try:
        from smproxy.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
