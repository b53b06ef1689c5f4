"""Faults of an origin; one module for each."""
