"""Faults of the media, which the origin carries out; one module for each."""
