"""Change sources: what a snapshot has to read, and how it reads a tree that others are writing to."""
