"""What the mean unit cell and the noise do not explain: a point-defect detector without a model."""
