"""``auth-lazy-close``: the client is let in, and thrown out when the verdict comes."""

from smproxy.faults.auth_fault import AuthFault, AuthOutcome
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter


class AuthLazyClose(AuthFault):
    """Let the client in, then end its session."""

    name = "auth-lazy-close"
    layer = Layer.SIGNALING
    effect = (
        "The client is let in, and its session ends when the verdict comes, with close code 1008. Hook: `disconnected`, reason "
        "6, or `connect_error`, error 3, if it was not connected yet."
    )
    whip = "the session ends"
    publish = "resolves, unless the time is over before"

    after = Parameter(5.0, "seconds until the verdict", 0, 3600)

    def decide(self) -> AuthOutcome:
        """Allow, and deny later."""
        return AuthOutcome("allowed", "the back end refused the credentials", close_after=self.after)
