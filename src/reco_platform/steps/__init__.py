"""What each step does; scripts/ call these."""
