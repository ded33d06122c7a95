"""Contracts: the schema of each table and the settings of each Spark session, on which results depend."""
