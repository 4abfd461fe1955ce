"""How weights are found: one file a regime, and the fitting that all of them share."""
