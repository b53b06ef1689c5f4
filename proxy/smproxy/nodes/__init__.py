"""Simulated nodes: origins and edges that are added, drained, lost and ended."""
