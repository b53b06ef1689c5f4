"""``auth-denied``: the credentials are refused."""

from smproxy.faults.auth_fault import AuthFault, AuthOutcome
from smproxy.faults.kind import Layer


class AuthDenied(AuthFault):
    """Refuse the credentials, whatever they are."""

    name = "auth-denied"
    layer = Layer.SIGNALING
    effect = (
        "The client is refused as an authentication back end refuses it, with `NetConnection.Connect.Rejected`; nobody is "
        "asked. Hook: `connect_error`, error 3, with a `message`."
    )
    whip = "POST is answered 401"
    publish = "rejects with `NetConnection.Connect.Rejected`"

    def decide(self) -> AuthOutcome:
        """Deny at once."""
        return AuthOutcome("denied", "the back end refused the credentials")
