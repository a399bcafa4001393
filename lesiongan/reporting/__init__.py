"""One HTML report per run, made from artifacts on disk alone: figures, tables, provenance.

`report` writes it, `gather` finds what it shows, `sections` and `results` read that, `figures` and `result_figures`
draw (with `drawing`), `embedding` embeds pictures, `report_page` fills the templates; `again` makes a report from a
run's folder, `compare` sets runs side by side. None of it needs TensorFlow.
"""
