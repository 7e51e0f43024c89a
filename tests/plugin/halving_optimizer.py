import torch


class Halving(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, every=100):
        super().__init__(params, {"lr": lr, "every": every})
        self.steps = 0

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * 0.5 ** (self.steps // group["every"]) * p.grad
        self.steps += 1
