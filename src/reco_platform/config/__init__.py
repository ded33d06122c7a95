"""The configuration: one strict model of every key."""
