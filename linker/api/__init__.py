"""The requests that Aha! takes, and what its answers mean; no input or output."""
