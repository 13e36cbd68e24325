"""Decoders: latents -> images."""
