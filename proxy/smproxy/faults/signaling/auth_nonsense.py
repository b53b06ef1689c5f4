"""``auth-nonsense``: the answer of the authentication back end cannot be understood."""

from smproxy.faults.auth_fault import AuthFault, AuthOutcome
from smproxy.faults.kind import Layer


class AuthNonsense(AuthFault):
    """Deny for an answer that is none."""

    name = "auth-nonsense"
    layer = Layer.SIGNALING
    effect = "The client is refused as with `auth-denied`, because the back end's answer is not JSON."
    whip = "POST is answered 403"
    publish = "rejects with `NetConnection.Connect.Rejected`"

    def decide(self) -> AuthOutcome:
        """Deny at once."""
        return AuthOutcome("failed", "the back end's answer is not JSON")
