"""What sessions are made from: templates and their immutable revisions."""
