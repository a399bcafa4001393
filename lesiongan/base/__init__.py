"""What everything stands on: errors, files, progress, versions of code, lineage."""
