"""A Windows host that is played, not real: state, virtual clock, and the scripts wavemend sends.

It proves what wavemend asks and how it takes the answers. That Windows runs the scripts it does
not prove: nothing in the scripts' text is executed here.
"""
