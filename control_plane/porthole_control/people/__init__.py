"""Who may ask: users, their tokens, signing in."""
