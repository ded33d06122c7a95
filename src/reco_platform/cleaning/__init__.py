"""Clean CSV files into silver tables: the reader, the rules of each table, and the two engines that apply them."""
