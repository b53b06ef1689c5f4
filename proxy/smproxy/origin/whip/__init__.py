"""WHIP and WHEP at the origin: the same sessions, roles and streams over HTTP."""
