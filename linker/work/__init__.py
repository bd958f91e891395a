"""One target from its desired state to the results of its jobs, without input or output."""
