"""What the commands do, for Python too: train, predict and evaluate whole folders."""
