"""Lifecycle hooks: the event, the journal, ordered delivery, formats and sinks."""
