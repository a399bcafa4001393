"""Writes state_dict.pth (torch's zip format) and state_dict_legacy.pth (before 1.6), a small state dict of many kinds.

Needs torch; run as `python make_state_dicts.py`. The tests know what is in it (`expected` of test_pth.py).
"""

from collections import OrderedDict
from pathlib import Path

import torch

base = torch.arange(24, dtype=torch.float32)
state = OrderedDict(
    plain=base.reshape(2, 3, 4),
    transposed=base.reshape(4, 6).t(),  # shares the storage of `plain`, as all views here
    part=base[5:17:3],
    column=base.reshape(4, 6)[1:, 2],
    repeated=torch.tensor([1.5, -2.0]).reshape(2, 1).expand(2, 3),
    parameter=torch.nn.Parameter(torch.tensor([[0.25, -1.0]], dtype=torch.float64)),
    half=torch.tensor([1.0, -0.5, 65504.0], dtype=torch.float16),
    bfloat16=torch.tensor([1.0, -0.5, 3.140625], dtype=torch.bfloat16),
    counter=torch.tensor(2**40 + 1),
    flags=torch.tensor([True, False]),
    bytes=torch.tensor([0, 255], dtype=torch.uint8),
    empty=torch.zeros(0, 3),
)
state._metadata = {"": {"version": 1}}  # as modules have it

folder = Path(__file__).parent
torch.save(state, folder / "state_dict.pth")
torch.save({"epoch": 3, "state_dict": state}, folder / "state_dict_legacy.pth", _use_new_zipfile_serialization=False)
