"""A microscope whose defects are known."""
