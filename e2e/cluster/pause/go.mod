module porthole.dev/cluster/pause

go 1.24.0
