"""One HTML report per run, made from artifacts on disk alone: figures, tables, provenance.

`report` writes it, `contents` reads what it shows, `figures` draws, `pictures` embeds, `paper_results` holds the
paper's numbers. None of it needs TensorFlow.
"""
