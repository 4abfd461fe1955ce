"""Review: pictures and reports from which a person judges results."""
