"""A conformance check of WHIP (RFC 9725) and WHEP servers, ours or not: one row for each requirement."""
