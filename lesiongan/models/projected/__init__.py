"""Discriminators that look at images through frozen ImageNet features (Sauer et al. 2021, "Projected GANs")."""
