"""What a user's files are: a guess at their layout from their heads and a sample, with reasons and alternatives."""
