"""Schedules, the learning-rate finder, and the loop that trains, saves and resumes."""
