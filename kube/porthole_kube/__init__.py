"""A cluster's API server, for every program that has to do with one.

* `cluster`: the calls, and their errors sorted by what a caller can do about them
* `kinds`: what objects there are, and where
* `objects`: what every object has: where it is, who it is, in which state
* `lease`: which of several replicas is the one
* `probes`: what the kubelet is told about a program

What is asked of a cluster, and why, is each program's own business.
"""
