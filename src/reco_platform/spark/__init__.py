"""Java, jars, sessions and clusters of Spark."""
