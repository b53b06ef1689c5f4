"""Fuzzing: whatever comes has a documented outcome or a documented error, in bounded time."""
