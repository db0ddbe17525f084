"""Convolutional VAE: not built yet."""
