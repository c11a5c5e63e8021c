"""The demo shop's pictures: products, landscapes and rooms drawn as SVG in code.

Here: pure functions from names and colours to SVG text; the same input gives the same bytes.
Not here: which product has which picture (``catalogue``), serving (``shop``).
"""
