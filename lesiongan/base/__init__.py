"""What everything else builds on: errors, files, progress, code versions, lineage."""
