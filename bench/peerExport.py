"""Writes the peer's network, a batch, its prediction, loss and gradients as raw float32 files for checkPeer.ts.

python bench/peerExport.py FOLDER_OF_DIT PRESET OUTPUT_FOLDER
"""
import json
import os
import sys

sys.path.insert(0, sys.argv[1])
os.environ["BENCH_THREADS"] = "1"
import torch  # noqa: E402
from bench_train import loss_fn  # noqa: E402
from dit import DiT, fake_ids  # noqa: E402

preset, out = sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.manual_seed(1)
net = DiT(preset)
p = net.p
with torch.no_grad():
    for q in net.parameters():
        q.add_(torch.randn_like(q) * 0.05)  # nothing at its initial zero or one
batch = 4
data = {
    "clean": torch.randn(batch, p.tokens, p.patch_dim),
    "noise": torch.randn(batch, p.tokens, p.patch_dim),
    "time": torch.rand(batch),
    "tokens": fake_ids(p, batch),
    "drop": torch.tensor([0, 1, 0, 0]),
}
loss = loss_fn(net, data["clean"], data["noise"], data["time"], data["tokens"], data["drop"].bool())
loss.backward()
h, m = net.text(data["tokens"])
arrays = {"loss": loss.detach().reshape(1), "states": h.detach(), "predicted": net(data["noise"], data["time"], h, m).detach()}
arrays |= {f"batch.{k}": v.float() for k, v in data.items()}


def ours(name, q):
    """Our name and layout of a parameter; matrices are stored [in, out]."""
    a = name.replace("text_blocks", "text.blocks").replace("weight", "W").replace("bias", "b")
    for old, new in (("embed.W", "text.embedding"), ("text_pos", "text.position"), ("null", "text.null"), ("patch_in", "patch"),
                     ("t1", "time1"), ("t2", "time2"), ("fc1", "feedForward.in"), ("fc2", "feedForward.out"),
                     ("conv.W", "convolution")):
        a = a.replace(old, new)
    a = "position" if a == "pos" else a
    if a.endswith(("n1.W", "n2.W", "n1.b", "n2.b")):
        return a.replace("n1", "norm1").replace("n2", "norm2").replace("W", "scale").replace(".b", ".shift").replace(".shiftlocks", ".blocks"), q
    if a.endswith("convolution"):
        return a, q.reshape(q.shape[0], 27)
    if a == "text.null":
        return a, q[0]
    if a.endswith(".W"):
        return a[:-2] + ".weight", q.t()
    if a.endswith(".b"):
        return (a[:-2] + ".bias"), q
    return a, q


index = {}
with open(os.path.join(out, "peer.bin"), "wb") as f:
    def put(key, t):
        t = t.detach().contiguous().float()
        index[key] = {"offset": f.tell() // 4, "shape": list(t.shape)}
        f.write(t.numpy().tobytes())

    for key, t in arrays.items():
        put(key, t)
    for name, q in net.named_parameters():
        key, t = ours(name, q)
        put(f"parameter.{key}", t)
        put(f"gradient.{key}", ours(name, q.grad)[1])
with open(os.path.join(out, "peer.json"), "w") as f:
    json.dump(index, f)
