"""Runs as processes: a controller here, one worker process a run."""
