"""The examples in the README, for the tests that run them."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def example(language: str) -> str:
    """Return the README's only block of ``language``."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert isinstance(block, str)
    return block
