"""What goes wrong on purpose: one fault per module."""
