"""Do generated images help the classifier, by how much, and how sure is that: metrics, intervals and tests.

`predictions` reads the classifiers' predictions, `classification` and `calibration` hold the metrics of one classifier,
`scores` those on resamples, `statistics` the intervals and tests over lesions and seeds, `comparison` the rows of a
table, `groups` those of groups of patients, `evaluate` the whole step, `single` one classifier alone; `translation` and
`image_quality` measure generated images. All but `judge` and `imagenet_judge` do without TensorFlow.
"""
