"""The stages of a run: input, reader, guard, work queue, workers."""
