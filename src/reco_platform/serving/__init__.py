"""Answers to questions about users and movies, from one version of a lakehouse: lists, reasons, likeness, search."""
