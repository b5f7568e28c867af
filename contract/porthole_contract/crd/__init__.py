"""What Kubernetes is told about our objects: their kinds, and who may write what of them.

* `kinds`: each kind as a whole CustomResourceDefinition
* `structural`: a model as the schema that the API server checks and explains
* `rules`: what a schema cannot say, as CEL with a sentence
* `policies`: what depends on who is asking, as ValidatingAdmissionPolicy

Everything here returns plain manifests. `python -m tests.support.write_crds` writes them
into `crds/`, and a chart may ask `policies` for its own names.
"""
