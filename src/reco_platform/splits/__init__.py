"""From silver ratings to interactions with folds."""
