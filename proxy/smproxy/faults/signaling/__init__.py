"""Faults of the signaling and of the way into it; one module for each."""
