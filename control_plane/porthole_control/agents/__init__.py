"""Places where sessions run: enrolment, what they offer, which one takes a session."""
