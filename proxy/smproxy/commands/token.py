"""``smproxy token``: makes tokens for a server with authentication, good and bad ones."""

from __future__ import annotations

import argparse
import json

from smproxy.commands.arguments import PLACES, seconds, secret
from smproxy.commands.output import OK, USAGE, note, write
from smproxy.signaling.clock import Clock

COMMAND = "smproxy token"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy token``."""
    kinds = parser.add_subparsers(title="kinds", metavar="KIND", required=True, dest="kind")
    jwt = kinds.add_parser("jwt", help="a JSON Web Token", description="Make a JSON Web Token for --auth jwt:SECRET.")
    _add_common(jwt)
    jwt.add_argument("--subject", metavar="NAME", help="claim sub")
    jwt.add_argument("--issuer", metavar="NAME", help="claim iss")
    jwt.add_argument(
        "--role", action="append", metavar="ROLE", help="red5-publisher or red5-subscriber; may be repeated"
    )
    jwt.add_argument("--transport", action="append", metavar="NAME", help="WHIP, WHEP or websocket; may be repeated")
    jwt.add_argument("--room", metavar="SCOPE", help="claim red5-room")
    digest = kinds.add_parser("digest", help="a digest token", description="Make a token for --auth digest:SECRET.")
    _add_common(digest)
    digest.add_argument("stream", metavar="STREAM", help="name of the stream")
    digest.add_argument("--user", default="user", metavar="NAME", help="name of the user (default user)")
    digest.add_argument("--role", default="streamer", choices=("streamer", "viewer"), help="default streamer")
    digest.add_argument("--app", default="live", metavar="APP", help="application (default live)")
    digest.add_argument("--parameters", default="key=value", metavar="KEY=VALUE", help="default key=value")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("secret", type=secret, metavar="SECRET", help=f"the secret that the server has, {PLACES}")
    parser.add_argument("--ttl", type=seconds, default=600.0, metavar="S", help="seconds until it ends (default 600)")
    parser.add_argument("--expired", action="store_true", help="make one that has expired")
    parser.add_argument("--wrong-signature", action="store_true", help="sign it with another secret")
    parser.add_argument("--json", action="store_true", help="print it in one JSON object, with its end")


def run(arguments: argparse.Namespace) -> int:
    """Print a token.

    Returns 0; 2 for unusable arguments.
    """
    secret = arguments.secret
    if arguments.kind == "jwt" and len(secret.encode()) < 32:
        note(COMMAND, "a secret for JSON Web Tokens has 32 bytes at least")
        return USAGE
    if arguments.wrong_signature:
        secret = f"not {secret}"
    ttl = round(arguments.ttl)
    expires = int(Clock().wall()) + (-ttl if arguments.expired else ttl)
    try:
        token = (_jwt if arguments.kind == "jwt" else _digest)(arguments, secret, expires)
        write(json.dumps({"token": token, "expires": expires}) if arguments.json else token)
    except ValueError as error:
        note(COMMAND, str(error))
        return USAGE
    return OK


def _jwt(arguments: argparse.Namespace, secret: str, expires: int) -> str:
    from smproxy.auth.jwt_tokens import make_jwt

    claims = {
        "sub": arguments.subject,
        "iss": arguments.issuer,
        "roles": ",".join(arguments.role) if arguments.role else None,
        "red5-transport": ",".join(arguments.transport) if arguments.transport else None,
        "red5-room": arguments.room,
    }
    return make_jwt(secret, claims, expires=expires)


def _digest(arguments: argparse.Namespace, secret: str, expires: int) -> str:
    from smproxy.auth.digest_tokens import make_digest_token

    return make_digest_token(
        secret,
        stream=arguments.stream,
        user=arguments.user,
        role=arguments.role,
        parameters=arguments.parameters,
        app=arguments.app,
        expires=expires,
    )
