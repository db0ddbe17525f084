"""Where frames come from and events go; no idea what a defect is."""
