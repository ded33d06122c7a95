"""The work of each step, one module per step; the scripts in scripts/ call these modules."""
