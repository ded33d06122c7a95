"""Models that order lists: what a user will watch next, not how many stars it would get."""
