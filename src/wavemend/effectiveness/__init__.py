"""How well an order of work would have done: stored history of EPSS and KEV, played again.

`sources` reads documents into a `History`; `strategies` order what is open by what was known on a
day; `replay` closes so many a day; `measures` counts what came of it; `chart` draws it. Nothing
here decides about a host: it answers whether the order that does is any good.
"""
