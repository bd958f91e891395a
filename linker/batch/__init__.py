"""The jobs of a run become a desired state for each target, and the change that leads to it."""
