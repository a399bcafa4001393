"""One HTML report per run, made from artifacts on disk alone: figures, tables, provenance.

`report` writes it, `gather` finds what it shows, `contents` and `results` read that, `figures` and `result_figures`
draw, `pictures` embeds; `again` makes a report from a run's folder, `compare` sets runs side by side. None of it needs
TensorFlow.
"""
