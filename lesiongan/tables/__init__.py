"""The paper's tables: what stands in them (`layout`), as CSV, LaTeX and HTML (`formats`), and its own numbers
(`paper_results`).

Apart from `reporting`, so that a change in the report's look does not evaluate a run again.
"""
