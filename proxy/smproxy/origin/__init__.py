"""Who takes the media: the signaling server side and the peer connections. The only room that knows aiortc."""
