"""The link: one WebSocket of text frames that an agent dials to the control plane.

`version` which peers understand each other · `skew` what an older one is not told ·
`frames` what stands in one text frame · `commands` what the control plane says · `reports`
what an agent says · `codec` frames to text and back · `greeting` who is there, proven ·
`channel` the conversation itself.
"""
