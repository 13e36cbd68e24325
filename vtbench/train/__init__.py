"""Training: a plain loop over a `TrainStep` that knows its model and losses."""
