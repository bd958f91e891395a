"""The account's rate limit: every request waits here for its permit."""
