"""Carry out faults: what the manager does to connections, origins and hooks, and asks origins to do to media."""
