"""A report held against its records: what is worth it computed again by other code, and every byte made again."""
