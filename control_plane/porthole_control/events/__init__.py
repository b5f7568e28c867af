"""What happened, once: the sessions' own stories, and live lists that can be resumed."""
