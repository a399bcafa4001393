"""What a user would install instead: `lightweight-gan` and `stylegan2-pytorch`, trained as their commands train.

    python -m benchmarks.torch_peers lightweight|stylegan2 FOLDER OUT.npz [--minutes 60] [--count 1000] [--size 64]

Both refuse to start without CUDA. Where there is none they are given the CPU: `.cuda()` returns what it was called on,
and nothing else of them changes. Options are their defaults but for the size and, for `lightweight`, automatic
augmentation (as for `stylegan2`, `aug_prob=None`). The budget is time of the processor. OUT gets images of the averaged
generator, uint8 `[count, size, size, 3]`, `steps` and `minutes`.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time

import numpy as np
import torch


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("peer", choices=("lightweight", "stylegan2"))
    arguments.add_argument("folder")
    arguments.add_argument("out")
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--count", type=int, default=1000)
    arguments.add_argument("--size", type=int, default=64)
    options = arguments.parse_args()
    if not torch.cuda.is_available():
        _use_the_cpu()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        shared = {"results_dir": scratch, "models_dir": scratch, "base_dir": scratch, "image_size": options.size}
        never = {"save_every": 10**9, "evaluate_every": 10**9, "num_workers": 0}
        make = _lightweight if options.peer == "lightweight" else _stylegan2
        trainer, sample = make({**shared, **never})
        trainer.set_data_src(options.folder)
        begin = time.process_time()
        while time.process_time() - begin < 60 * options.minutes:
            trainer.train()
            if trainer.steps % 50 == 0:
                print(
                    f"{options.peer}: {trainer.steps} steps, {(time.process_time() - begin) / 60:.1f} minutes",
                    flush=True,
                )
        minutes = (time.process_time() - begin) / 60
        trainer.GAN.eval()
        with torch.no_grad():
            parts = [sample(trainer, min(50, options.count - done)) for done in range(0, options.count, 50)]
        pixels = torch.cat(parts).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        np.savez_compressed(options.out, images=pixels, steps=trainer.steps, minutes=minutes)


def _use_the_cpu() -> None:
    """Lets both be imported, and their tensors stay where they are."""
    available, make = torch.cuda.is_available, torch.device

    class Device(type):
        def __call__(cls, *where):
            return make("cpu") if where and str(where[0]).startswith("cuda") else make(*where)

        def __instancecheck__(cls, instance) -> bool:
            return isinstance(instance, make)

    torch.cuda.is_available = lambda: True
    importlib.import_module("lightweight_gan")
    importlib.import_module("stylegan2_pytorch")
    torch.cuda.is_available, torch.cuda.empty_cache = available, lambda: None
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_, **__: self
    torch.device = Device("device", (), {})


def _lightweight(options: dict):
    from lightweight_gan import Trainer

    def sample(trainer, count):
        return trainer.generate_(trainer.GAN.GE, torch.randn(count, trainer.GAN.latent_dim))

    return Trainer(name="peer", batch_size=10, gradient_accumulate_every=4, use_aim=False, **options), sample


def _stylegan2(options: dict):
    from stylegan2_pytorch import Trainer
    from stylegan2_pytorch.stylegan2_pytorch import image_noise, noise_list

    def sample(trainer, count):
        network = trainer.GAN.G
        styles = noise_list(count, network.num_layers, network.latent_dim, device=0)
        noise = image_noise(count, network.image_size, device=0)
        return trainer.generate_truncated(trainer.GAN.SE, trainer.GAN.GE, styles, noise, trunc_psi=1.0)

    trainer = Trainer(name="peer", batch_size=5, gradient_accumulate_every=6, **options)
    return trainer, sample


if __name__ == "__main__":
    main()
