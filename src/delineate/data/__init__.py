"""Training data: layouts and pairs, splits, normalisation, scale, patches and augmentation."""
