"""Time cellpose 3.1 on one image (predict) or its training step (train); print JSON.

python benchmarks/peers/cellpose_time.py predict MODEL IMAGE.npy MASKS.npy --repeats 3
python benchmarks/peers/cellpose_time.py train --repeats 5
"""

import argparse
import json
import time

import numpy as np
import torch
from cellpose import models, train, transforms

parser = argparse.ArgumentParser()
parser.add_argument("job", choices=["predict", "train"])
parser.add_argument("files", nargs="*")
parser.add_argument("--repeats", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()
torch.set_num_threads(args.threads)
seconds = []
if args.job == "predict":
    path, image_file, masks_file = args.files
    model = models.CellposeModel(gpu=False, pretrained_model=path)
    image = np.load(image_file)
    model.eval(image[:512, :512], channels=[0, 0], diameter=float(model.diam_mean))
    for _ in range(args.repeats):
        start = time.perf_counter()
        masks = model.eval(image, channels=[0, 0], diameter=float(model.diam_mean))[0]
        seconds.append(time.perf_counter() - start)
    np.save(masks_file, masks.astype(np.int32))
else:
    # The published step by its own functions: random patches of 8 images, AdamW.
    rng = np.random.default_rng(0)
    images = [rng.normal(0, 1, (2, 400, 400)).astype(np.float32) for _ in range(8)]
    flows = [rng.normal(0, 1, (3, 400, 400)).astype(np.float32) for _ in range(8)]
    net = models.CellposeModel(gpu=False, pretrained_model=False).net
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
    net.train()
    for _ in range(args.repeats + 1):
        start = time.perf_counter()
        patches, labels = transforms.random_rotate_and_resize(
            images, Y=flows, rescale=np.ones(8, np.float32), scale_range=0.5, xy=(224, 224)
        )[:2]
        output = net(torch.from_numpy(patches))[0]
        loss = train._loss_fn_seg(labels, output, torch.device("cpu"))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - start)
    seconds = seconds[1:]
facts = {"threads": torch.get_num_threads(), "torch": torch.__version__}
print(json.dumps({"seconds": seconds, **facts}))
