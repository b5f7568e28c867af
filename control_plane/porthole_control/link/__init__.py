"""Links: the control plane's end of the conversations with its agents."""
