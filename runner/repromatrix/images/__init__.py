"""Locks, wheels, bases and images: what a cell runs in."""
