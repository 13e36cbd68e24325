"""The stages of a run; each is a function of a `RunContext` and does only what its record does not hold yet."""
