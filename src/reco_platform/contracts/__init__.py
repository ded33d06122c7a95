"""Contracts: what each table and each Spark session promises, because results depend on it."""
