"""Captures of a session's packets: what is kept, and how it is written for Wireshark."""
