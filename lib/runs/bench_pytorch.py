"""The other side of `deno task bench --against pytorch`: the same models, shapes and steps in PyTorch.

Reads one JSON object a line from standard input and answers each with one line. A first line
{"threads": n, "device": "cpu" or "cuda"} says what to run on and is answered with the version. Then
{"case": {...}, "variant": "eager" or "compile", "products": "float32" or "bfloat16", "calls": n} runs a case n times, as
the benchmark's own side runs it, in bfloat16 with autocast, and is answered with {"processor": seconds of processor time,
all threads, of one call} or {"error": "..."}.
Cases stay in memory: the first call of each also builds (and compiles) it.
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class SitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, h, conditioning):
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(conditioning)[:, None].chunk(6, dim=-1)
        h = h + gate * self.proj(attend(self.qkv(self.norm(h) * (1 + scale) + shift), self.heads))
        hidden = F.gelu(self.up(self.norm(h) * (1 + mlp_scale) + mlp_shift), approximate="tanh")
        return h + mlp_gate * self.down(hidden)


class Sit(nn.Module):
    """The student: a transformer over patches, modulated by time and class."""

    def __init__(self, shape, classes, patch, width, depth, heads):
        super().__init__()
        channels, height, columns = shape
        self.patch, self.shape = patch, shape
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.register_buffer("positions", torch.randn(1, (height // patch) * (columns // patch), width))
        self.time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.labels = nn.Embedding(classes + 1, width)
        self.blocks = nn.ModuleList([SitBlock(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, channels * patch * patch)
        self.register_buffer("frequencies", torch.exp(-math.log(10000) * torch.arange(128) / 128))

    def forward(self, x, t, labels):
        h = self.embed(x).flatten(2).transpose(1, 2) + self.positions
        angles = t[:, None] * self.frequencies
        features = torch.cat([angles.cos(), angles.sin()], dim=1)
        conditioning = F.silu(self.time(features) + self.labels(labels))
        for block in self.blocks:
            h = block(h, conditioning)
        shift, scale = self.modulation(conditioning)[:, None].chunk(2, dim=-1)
        return unpatchify(self.out(self.norm(h) * (1 + scale) + shift), self.patch, self.shape)


class FlowLayer(nn.Module):
    def __init__(self, width, head_width):
        super().__init__()
        self.heads = width // head_width
        self.norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h, mask, cache=None):
        h = h + self.proj(attend(self.qkv(self.norm(h)), self.heads, mask, cache))
        return h + self.down(F.gelu(self.up(self.mlp_norm(h))))


class FlowBlock(nn.Module):
    def __init__(self, tokens, token_width, width, head_width, layers, classes, flipped):
        super().__init__()
        self.flipped = flipped
        self.project = nn.Linear(token_width, width)
        self.positions = nn.Parameter(torch.randn(tokens, width) * 0.01)
        self.classes = nn.Parameter(torch.randn(classes, 1, width) * 0.01)
        self.layers = nn.ModuleList([FlowLayer(width, head_width) for _ in range(layers)])
        self.out = nn.Linear(width, 2 * token_width)
        nn.init.zeros_(self.out.weight)
        self.register_buffer("mask", torch.tril(torch.ones(tokens, tokens, dtype=torch.bool)))

    def encode(self, x, labels):
        x, positions = (x.flip(1), self.positions.flip(0)) if self.flipped else (x, self.positions)
        h = self.project(x) + positions + self.classes[labels]
        for layer in self.layers:
            h = layer(h, self.mask)
        h = self.out(h)
        h = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], dim=1)
        log_scale, shift = h.chunk(2, dim=-1)
        z = (x - shift) * (-log_scale).exp()
        return (z.flip(1) if self.flipped else z), -log_scale.mean(dim=[1, 2])

    def decode(self, z, labels):
        """Token by token; keys and values are concatenated to the cache, as the reference does."""
        x, positions = (z.flip(1), self.positions.flip(0)) if self.flipped else (z, self.positions)
        x = x.clone()
        caches = [[None, None] for _ in self.layers]
        for i in range(x.shape[1] - 1):
            h = self.project(x[:, i : i + 1]) + positions[i : i + 1] + self.classes[labels]
            for layer, cache in zip(self.layers, caches):
                h = layer(h, None, cache)
            log_scale, shift = self.out(h).chunk(2, dim=-1)
            x[:, i + 1] = x[:, i + 1] * log_scale[:, 0].exp() + shift[:, 0]
        return x.flip(1) if self.flipped else x


class Flow(nn.Module):
    """The teacher: an autoregressive affine flow over patches."""

    def __init__(self, shape, classes, patch, width, headWidth, blocks):
        super().__init__()
        channels, height, columns = shape
        self.patch, self.shape = patch, shape
        tokens, token_width = (height // patch) * (columns // patch), channels * patch * patch
        self.blocks = nn.ModuleList(
            [
                FlowBlock(tokens, token_width, width, headWidth, layers, classes, i % 2 == 1)
                for i, layers in enumerate(blocks)
            ]
        )

    def forward(self, data, labels):
        x = patchify(data, self.patch)
        total = 0
        for block in self.blocks:
            x, log_determinant = block.encode(x, labels)
            total = total + log_determinant
        return unpatchify(x, self.patch, self.shape), total

    def decode(self, noise, labels):
        x = patchify(noise, self.patch)
        for block in reversed(self.blocks):
            x = block.decode(x, labels)
        return unpatchify(x, self.patch, self.shape)


class Fork(nn.ModuleList):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], dim=1)


def inception_chain(steps):
    """Steps of the Inception network of FID, from their description; normalisation apart, as pytorch-fid runs it."""
    return nn.Sequential(*map(inception_step, steps))


def inception_step(step):
    kind, stride = step["kind"], step.get("stride")
    if kind == "fork":
        return Fork(map(inception_chain, step["branches"]))
    if kind == "maxPool":
        return nn.MaxPool2d(3, stride, padding=1 if stride == 1 else 0)
    if kind == "meanPool":
        return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    padding = [side // 2 for side in step["kernel"]] if step["padding"] == "same" else 0
    convolution = nn.Conv2d(step["inputs"], step["outputs"], step["kernel"], stride, padding, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(step["outputs"], eps=0.001), nn.ReLU(inplace=True))


def inception(layout, batch, wrap):
    network = inception_chain(layout).eval()
    images = torch.rand(batch, 3, 299, 299)

    def features(x):
        x = 2 * F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False) - 1
        return F.adaptive_avg_pool2d(network(x), (1, 1)).squeeze(3).squeeze(2)

    extract = wrap(features)
    return torch.no_grad()(lambda: extract(images).cpu().numpy())


def attend(qkv, heads, mask=None, cache=None):
    batch, tokens, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    query, key, value = qkv.reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind(0)
    if cache is not None:
        if cache[0] is not None:
            key, value = torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)
        cache[0], cache[1] = key, value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).reshape(batch, tokens, width)


def patchify(x, patch):
    return F.unfold(x, patch, stride=patch).transpose(1, 2)


def unpatchify(tokens, patch, shape):
    return F.fold(tokens.transpose(1, 2), shape[1:], patch, stride=patch)


def training_step(model, loss):
    """AdamW, clipping and the moving average, each in its fastest form."""
    parameters = list(model.parameters())
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 0.001)
        return value.item()

    return step


def build(case, variant):
    """A function of no arguments that runs the case once."""
    wrap = torch.compile if variant == "compile" else (lambda f: f)
    kind, batch = case["kind"], case.get("batch", 1)
    torch.manual_seed(0)
    if kind == "matmul":
        a, b = torch.randn(case["size"], case["size"]), torch.randn(case["size"], case["size"])
        return lambda: torch.mm(a, b)
    if kind == "inception":
        return inception(case["layout"], batch, wrap)
    shape, classes = case["shape"], case["classes"]
    noise, data = torch.randn(batch, *shape), torch.randn(batch, *shape)
    labels, t = torch.arange(batch) % classes, torch.rand(batch)
    if kind == "teacher":
        flow = wrap(Flow(shape, classes, **case["teacher"]))

        def likelihood():
            z, log_determinant = flow(data, labels)
            return 0.5 * z.square().mean() - log_determinant.mean()

        return training_step(flow, likelihood)
    if kind == "decode":
        flow = Flow(shape, classes, **case["teacher"]).eval()
        return torch.no_grad()(lambda: flow.decode(noise, labels))
    student = wrap(Sit(shape, classes, **case["student"]))
    if kind == "sample":
        return torch.no_grad()(lambda: heun(student, noise, labels, case["nfe"]))
    flow = wrap(Flow(shape, classes, **case["teacher"]).eval()) if kind == "nfm" else None

    def matching():
        start = noise
        if flow is not None:
            with torch.no_grad():
                start = flow(data + 0.2 * torch.randn_like(data), labels)[0]
        x = torch.lerp(data, start, t[:, None, None, None])
        return F.mse_loss(student(x, t, labels), start - data)

    return training_step(student, matching)


def heun(student, x, labels, nfe):
    steps = (nfe + 1) // 2
    times = [((steps - i) / steps) ** 2 for i in range(steps + 1)]
    for start, end in zip(times, times[1:]):
        velocity = student(x, torch.full((len(x),), start), labels)
        predicted = x + (end - start) * velocity
        if end > 0:
            corrected = student(predicted, torch.full((len(x),), end), labels)
            predicted = x + (end - start) / 2 * (velocity + corrected)
        x = predicted
    return x


def answer(request, built):
    if "threads" in request:
        torch.set_num_threads(request["threads"])
        torch.set_default_device(request["device"])
        return {"version": torch.__version__, "threads": torch.get_num_threads()}
    key = json.dumps([request[part] for part in ("case", "variant", "products")], sort_keys=True)
    if key not in built:
        built[key] = build(request["case"], request["variant"])
    start = time.process_time()
    device, short = torch.get_default_device().type, request["products"] == "bfloat16"
    for _ in range(request["calls"]):
        # Anew for each call: it keeps what it rounded, weights among it, until it ends.
        with torch.autocast(device, torch.bfloat16, enabled=short):
            built[key]()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return {"processor": (time.process_time() - start) / request["calls"]}


def main():
    built = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), built)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
