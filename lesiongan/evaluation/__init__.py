"""Does it help the classifier, by how much, and how sure is that: metrics, intervals, tests and tables.

`predictions` reads what the classifiers said, `classification` holds the metrics of one classifier, `statistics` the
intervals and tests over lesions and seeds, `tables` their tables, `evaluate` the whole step. None of it needs
TensorFlow.
"""
