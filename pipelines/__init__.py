"""The two experiments as pipelines, written once and run by kfp's local engine or on Kubeflow."""
