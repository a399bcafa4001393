"""What the two experiments are made of: cells, their images, amounts, the Path-Rank-Filter."""
