"""Run Spark: Java, jars, spark-submit, sessions and clusters."""
