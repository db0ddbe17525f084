"""Convolutional VAE: what a network that learned bulk fails to redraw."""
