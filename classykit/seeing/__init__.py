"""What a model sees: what its blocks give, and how that looks."""
