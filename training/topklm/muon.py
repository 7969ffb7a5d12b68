"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/): momentum, orthogonalised by a Newton–Schulz iteration.

torch.optim.Muon computes the same but iterates in bf16 whatever the machine; here the type is given. State and hyperparameters carry
the same names, so that the state of a run by either is read by the other.
"""

import torch

# The iteration's quintic and the smallest norm by which a gradient is divided, as torch.optim.Muon has them.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPS = 1e-7


def orthogonalised(gradient: torch.Tensor, steps: int, dtype: torch.dtype) -> torch.Tensor:
    """U S' Vᵀ of gradient = U S Vᵀ [..., rows, columns], the singular values S' near 1 (0.5 to 1.5), computed in `dtype`."""
    a, b, c = COEFFICIENTS
    x = gradient.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=EPS)
    add = torch.baddbmm if x.ndim == 3 else torch.addmm
    for _ in range(steps):
        gram = x @ x.mT
        x = add(x, add(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For matrices alone; `dtype` is the type of the iteration. Nesterov momentum, decoupled weight decay, the rate of a matrix
    with more rows than columns raised by √(rows/columns)."""

    def __init__(self, params, lr: float, weight_decay: float, momentum: float = 0.95, ns_steps: int = 5, dtype=torch.float32):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "ns_steps": ns_steps})
        self.dtype = dtype
        flat = [tuple(p.shape) for group in self.param_groups for p in group["params"] if p.ndim != 2]
        if flat:
            raise ValueError(f"Muon takes matrices alone, not a parameter of shape {flat[0]}")

    @torch.no_grad()
    def step(self, closure=None):
        """One step; `closure` is there for the interface's sake and is not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for same in together([p for p in group["params"] if p.grad is not None]):
                for p in same:
                    if "momentum_buffer" not in self.state[p]:
                        self.state[p]["momentum_buffer"] = torch.zeros_like(p.grad)
                gradients, buffers = [p.grad for p in same], [self.state[p]["momentum_buffer"] for p in same]
                torch._foreach_lerp_(buffers, gradients, 1 - momentum)
                ahead = torch._foreach_lerp(gradients, buffers, momentum)
                if len(same) == 1:
                    updates = [orthogonalised(ahead[0], group["ns_steps"], self.dtype).to(same[0].dtype)]
                else:
                    updates = orthogonalised(torch.stack(ahead), group["ns_steps"], self.dtype).to(same[0].dtype).unbind()
                rows, columns = same[0].shape
                torch._foreach_mul_(same, 1 - lr * group["weight_decay"])
                torch._foreach_add_(same, updates, alpha=-lr * max(1.0, rows / columns) ** 0.5)


def together(params: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """The matrices that are iterated in one product: on a GPU all of one shape, whose many small products would leave it idle;
    on a CPU each by itself."""
    groups = {}
    for number, p in enumerate(params):
        groups.setdefault(tuple(p.shape) if p.is_cuda else number, []).append(p)
    return list(groups.values())
