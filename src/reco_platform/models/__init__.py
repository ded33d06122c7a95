"""Models and the lists they make."""
