"""Check WHIP (RFC 9725) and WHEP servers for conformance: one row for each requirement.

The server may be ours or another.
"""
