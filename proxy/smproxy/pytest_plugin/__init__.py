"""The pytest plugin: stream manager, hooks, publishers and subscribers as fixtures.

It is loaded by every pytest run on a machine that has the package, so nothing here imports what takes time before a test
asks for a fixture. What the fixtures do for users is in ``docs/testing.md``.
"""
