"""WHIP and WHEP at the origin: the HTTP door to the same sessions, roles and streams."""
