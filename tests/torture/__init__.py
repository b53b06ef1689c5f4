"""What takes too long for every day: `make torture` prints one table."""
