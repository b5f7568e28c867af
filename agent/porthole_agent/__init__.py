"""The agent: one per place where sessions run. It dials the control plane, obeys and reports.

`__main__` how it is run · `enrolment` who it is · `dial` how it reaches the control plane ·
`link` the conversation, kept up · `desk` commands carried out, reports on their way ·
`news` what the runtime shows, as reports (pure) · `streams` viewers' bytes ·
`runtimes` the places themselves.
"""
