"""Faults in the delivery of hooks, one module for each.

Some are scenarios, made of others, that are met in production.
"""
