"""The command line: arguments in, calls out, one verb a file."""
