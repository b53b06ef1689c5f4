"""Streams that are pulled from the origin of another node, packet by packet as they came."""
