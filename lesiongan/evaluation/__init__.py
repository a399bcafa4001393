"""Does it help the classifier, by how much, and how sure is that: metrics, intervals and tests.

`predictions` reads what the classifiers said, `classification` and `calibration` hold the metrics of one classifier,
`scores` those on resamples, `statistics` the intervals and tests over lesions and seeds, `cells` the rows of a table,
`groups` those of patients, `evaluate` the whole step; `translation` and `image_quality` judge generated images. All but
`judge` and `imagenet_judge` do without TensorFlow.
"""
