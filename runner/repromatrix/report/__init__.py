"""Records -> frozen view -> HTML, Markdown and JSON."""
