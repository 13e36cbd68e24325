"""Models: tokenizers stand on quantizers, decoders and losses, and those on `nn`."""
