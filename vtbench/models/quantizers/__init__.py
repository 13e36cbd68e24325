"""Quantizers: continuous latents -> codes."""
