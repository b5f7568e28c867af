"""The queue: durable orders of the control plane to its agents."""
