"""Recording to disk without encoding, on a thread of its own: packets in, one Matroska file out."""
