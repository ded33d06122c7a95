"""File storage on this machine and on HDFS: paths, atomic writes and locks."""
