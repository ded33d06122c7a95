"""The cleaning rules, one module a table; rules.py holds what they share."""
