"""Faults in the delivery of hooks, and scenarios made of them that are met in production; one module for each."""
