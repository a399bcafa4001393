"""How each network is trained: the loop that saves and resumes, its callbacks, the learning-rate finder."""
