"""``origin-crash``: the origin is lost with all that it carries."""

from smproxy.faults.origin_fault import OriginFault
from smproxy.faults.parameter import Parameter


class OriginCrash(OriginFault):
    """Lose all sessions of an origin at once."""

    name = "origin-crash"
    effect = (
        "Some time after the first session that it is for, all such sessions of that origin lose socket and media "
        "at once, without a goodbye. Hooks: `disconnected`, reason 4; before the transport is up `connect_error`, "
        "error 2."
    )
    publish = "resolves; the page loses its connection"

    after = Parameter(1.0, "seconds from the first session")

    def first_session(self) -> None:
        """Wait, then lose it and those that came after it."""
        self.origin.later(self.after, self.origin.lose_sessions)
