"""``auth-stalled``: the authentication back end gives no answer."""

from smproxy.faults.auth_fault import AuthFault, AuthOutcome
from smproxy.faults.kind import Layer
from smproxy.faults.parameter import Parameter


class AuthStalled(AuthFault):
    """Deny after a while."""

    name = "auth-stalled"
    layer = Layer.SIGNALING
    effect = (
        "The client waits for the verdict, then is refused as with `auth-denied`, because the back end gave no answer."
    )
    whip = "POST is answered 403 after that time"
    publish = "rejects with `NetConnection.Connect.Rejected` after that time"

    after = Parameter(3.0, "seconds until it is denied; a back end has 9", 0, 60)

    def decide(self) -> AuthOutcome:
        """Deny later."""
        return AuthOutcome("failed", f"the back end gave no answer within {self.after:g} s", self.after)
