"""Paths on this machine and on HDFS, and files written whole or not at all."""
