"""The explorer: a tree as one page of HTML, in which a reader goes from ten groups down to their members."""
