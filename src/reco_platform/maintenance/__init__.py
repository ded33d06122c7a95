"""Commands for an existing lakehouse: validate, clean, prune, reproduce, promote, SQL, and set-up of kernels."""
