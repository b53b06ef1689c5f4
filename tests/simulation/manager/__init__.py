"""The manager in virtual time, between simulated clients and a simulated origin, over both doors, with faults."""
