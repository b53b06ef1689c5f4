"""Headless clients that the server runs itself, in a process of their own."""
