"""The command line: steps in order, errors to exit codes, all printing."""
