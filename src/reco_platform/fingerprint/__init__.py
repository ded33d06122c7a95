"""Content fingerprints of tables, independent of the order of rows, and of files."""
