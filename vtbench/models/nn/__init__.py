"""Building blocks that know nothing of tokenizers."""
