"""Clients that mean harm, or behave as if they did: what they may not see, and what they may not use up."""
