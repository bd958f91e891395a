"""Whether a request is sent again, and when: verdict, backoff, circuit breaker, and the sender that uses them."""
