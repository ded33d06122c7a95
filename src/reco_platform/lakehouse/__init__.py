"""Tables, receipts and contracts: what a lakehouse holds and how it is published."""
