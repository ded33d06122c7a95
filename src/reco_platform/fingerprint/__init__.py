"""Order-independent content fingerprints of tables."""
