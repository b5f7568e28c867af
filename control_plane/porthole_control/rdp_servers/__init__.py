"""RDP servers: rows that outlive the sessions which they are started as."""
