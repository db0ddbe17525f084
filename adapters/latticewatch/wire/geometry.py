"""The one chain from pixel to fraction to nanometre."""
