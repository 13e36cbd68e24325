"""Frozen types without I/O: studies, runs, records, published figures."""
