"""From images to maps and predictions: tiles, members, scale."""
