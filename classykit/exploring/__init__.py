"""One exploration, without a screen: the model in hand, and what is looked at."""
