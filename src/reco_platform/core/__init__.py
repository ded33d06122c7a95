"""What every other package may use: errors, hashing, array types, project files, and the operating system."""
