"""How far a position sees: fields followed through the operations of a pass."""
