"""The lakehouse: its layout, receipts and manifests, opening tables, and publishing them atomically."""
