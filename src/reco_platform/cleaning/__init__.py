"""The cleaning rules, one module a table, and the engines that apply them."""
