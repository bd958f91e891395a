"""Again? how long? enough?"""
