"""The subscribers' side of the origin: their conversation, the offer that is made to them, and the peer that sends."""
