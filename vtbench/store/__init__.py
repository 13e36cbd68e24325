"""Files to records and back: one folder a run, written by one process, readable at any moment by all others."""
