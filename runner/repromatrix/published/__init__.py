"""A published document's figures and statements, held against results."""
