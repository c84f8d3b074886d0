"""Docker and plain processes behind one protocol."""
