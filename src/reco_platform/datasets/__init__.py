"""Data sets: the registry, downloads, generated data and the bronze files."""
