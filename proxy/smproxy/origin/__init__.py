"""The origin: signaling, peer connections, streams, recordings. Only it knows aiortc."""
