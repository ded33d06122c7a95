"""Validate, repair, clean, prune and reproduce a lakehouse."""
