"""The account's rate limit: one await before each request."""
