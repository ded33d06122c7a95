"""Errors, hashing and the operating system: what every other package may use."""
