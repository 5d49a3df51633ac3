"""What a model is given to run on, where it is placed, the engine, and what fits the memory."""
