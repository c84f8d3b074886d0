"""Exact comparison of records; needs nothing but files."""
