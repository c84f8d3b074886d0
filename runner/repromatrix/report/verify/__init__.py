"""The claims of a report recomputed from the records by another way than the report's own."""
