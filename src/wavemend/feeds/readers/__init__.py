"""One reader per feed: where its documents are, and what they say. A reader reads no other."""
