"""Alternating least squares (ALS): training by the native engine or by Spark, and the stored model."""
