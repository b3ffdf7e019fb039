"""Loads an adapter of ours with peft itself, and compares what peft merges with what `rlft export --merge` wrote.

  python bench/checkPeft.py ADAPTER_FOLDER BASE.safetensors MERGED.safetensors

The network is bare: an nn.Linear for each matrix of the base, under its name, so that peft's own matching decides which are adapted.
"""
import sys

import peft
import torch
from safetensors.torch import load_file

folder, base_file, merged_file = sys.argv[1:]
base = {name: tensor.float() for name, tensor in load_file(base_file).items()}
merged = load_file(merged_file)


def network():
    root = torch.nn.Module()
    for name, weight in base.items():
        *path, kind = name.split(".")
        if kind != "weight" or weight.dim() != 2 or path[0] == "text":
            continue
        at = root
        for part in path[:-1]:
            if not hasattr(at, part):
                at.add_module(part, torch.nn.Module())
            at = getattr(at, part)
        linear = torch.nn.Linear(*weight.shape, bias=False)
        linear.weight.data = weight.T.contiguous()  # ours are [in, out]
        at.add_module(path[-1], linear)
    return root


model = peft.get_peft_model(network(), peft.LoraConfig.from_pretrained(folder))
saved = peft.load_peft_weights(folder, device="cpu")
loaded = peft.set_peft_model_state_dict(model, saved)
missing = [key for key in loaded.missing_keys if "lora_" in key]
adapted = sorted(name for name, module in model.named_modules() if isinstance(module, peft.tuners.lora.LoraLayer))

whole = peft.PeftModel.from_pretrained(network(), folder).merge_and_unload()
ours = {name: merged[f"{name}.weight"].T for name, _ in whole.named_modules() if f"{name}.weight" in merged}
theirs = {name: whole.get_submodule(name).weight.detach() for name in ours}
gap = max((theirs[name] - ours[name]).abs().max().item() for name in ours)
moved = max((theirs[name] - base[f"{name}.weight"].T).abs().max().item() for name in ours)

print(f"peft {peft.__version__}, torch {torch.__version__}")
print(f"{len(saved)} tensors; missing {missing}; unexpected {loaded.unexpected_keys}; {len(adapted)} of {len(ours)} layers adapted")
print(f"largest change by the adapter {moved:.3g}; largest difference of the merged weights {gap:.3g}")
sys.exit(bool(missing or loaded.unexpected_keys or 2 * len(adapted) != len(saved) or not moved > 0 or gap > 1e-6))
