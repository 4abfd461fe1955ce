"""What the maps of a network mean: one file a method."""
