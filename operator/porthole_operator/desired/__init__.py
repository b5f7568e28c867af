"""The objects that a Session needs, whole, as Kubernetes takes them.

One maker a file; all pure: the same arguments make the same manifest. `recipe` has what they
are made from, `extras` what a template may add to a pod, `profiles` the shapes of pods.
"""
