"""Faults of the HTTP exchanges of WHIP and WHEP; one module for each."""
