"""The control plane: the API, the queue of commands, people, and the streams' meeting point."""
