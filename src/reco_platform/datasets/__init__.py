"""Data sets: the registry, downloads, generated data, and the CSV files of the bronze layer."""
