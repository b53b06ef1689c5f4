"""Mutants: the product with one fault put in, each of which simulation or a named test must catch."""
