"""When to try again, and when to give up."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryProfile:
    """A schedule of retries. All times are seconds.

    ``steps``: the longest wait before the second attempt, the third, and so on; the wait itself is drawn between 0 and the step
    ("full jitter"), so that a receiver that comes back is not met by everybody at once.
    ``budget``: no further attempt is planned when this long has passed since the first.
    ``retry_after_limit``: the longest wait that a receiver can ask for.
    """

    name: str
    steps: tuple[float, ...]
    budget: float = math.inf
    retry_after_limit: float = 3600.0

    def wait(self, *, attempts: int, elapsed: float, after: float | None, rng: random.Random) -> float | None:
        """Return the seconds to wait after ``attempts`` failed ones; ``None`` is to give up.

        The first failed ``elapsed`` seconds ago. The receiver's own wish (``after``) is a lower bound, within
        ``retry_after_limit``.
        """
        if attempts > len(self.steps) or elapsed >= self.budget:
            return None
        wait = rng.uniform(0.0, self.steps[attempts - 1])
        return wait if after is None else max(wait, min(after, self.retry_after_limit))


#: For tests: doubles from 50 ms to 5 s and gives up after 30 s.
FAST = RetryProfile(
    "fast", (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *(5.0 for _ in range(40))), budget=30.0, retry_after_limit=30.0
)

#: The schedule that Standard Webhooks suggests: seven attempts, the last up to 17.6 hours after the first.
STANDARD = RetryProfile("standard", (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0), retry_after_limit=36000.0)

PROFILES = {profile.name: profile for profile in (FAST, STANDARD)}
