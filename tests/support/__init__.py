"""What tests share: fake accounts, clocks, proxies, servers and checks. Nothing here is a test of linker."""
