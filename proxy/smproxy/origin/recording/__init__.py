"""Recording to disk without encoding, on a thread of its own.

Packets in, one Matroska file out.
"""
