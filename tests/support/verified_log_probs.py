"""Log-probs and the losses that they have by the authors' and TRL's code, verified to 1e-7 in float64."""

import torch

from baselines.types import Logps, Scored

# Summed log-probs of four pairs: c = (m, y_w), r = (m, y_l), i = (m', y_w).
POLICY = {
    "chosen": [-42.13, -18.7025, -77.5, -5.25],
    "rejected": [-47.91, -17.335, -80.125, -9.75],
    "altered": [-44.02, -18.9975, -70.25, -6.5],
}


REFERENCE = {
    "chosen": [-43.05, -18.105, -76.0, -5.25],
    "rejected": [-46.40, -18.22, -79.0, -9.75],
    "altered": [-43.88, -18.6, -75.125, -6.5],
}


# Losses of these pairs: DPO's, the image term, the anchor, and the three together.
DPO = [0.57901022, 0.77001693, 0.71207295, 0.69314718]
IMAGE = [0.64155102, 0.70319718, 1.06186033, 0.69314718]
ANCHOR = [0.64820481, 0.72346837, 0.77095705, 0.69314718]
THREE_TERMS = [1.86876605, 2.19668248, 2.54489033, 2.07944154]

# One group of four responses: per-token log-probs under policy, old policy and reference.
LP = [[-0.5, -1.2, -0.8, -2, -0.3], [-1.1, -0.9, -0.4], [-0.7, -0.6, -1.5, -0.2], [-2.3, -0.1, -0.9]]
OLD = [[-0.6, -1.0, -0.9, -2.4, -0.3], [-1.0, -1.2, -0.4], [-0.7, -0.65, -1.4, -0.25], [-2, -0.15, -1]]
REF = [[-0.55, -1.1, -1, -2.2, -0.35], [-1.05, -1, -0.45], [-0.8, -0.6, -1.3, -0.2], [-2.1, -0.2, -0.95]]


def float64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def assert_near(values, expected) -> None:
    torch.testing.assert_close(values.detach(), float64(expected), atol=1e-7, rtol=0)


def one_token(sums, grad: bool = False) -> Logps:
    """Summed log-probs as answers of one token, behind one token of padding that must not count."""
    token = torch.stack([float64(sums), torch.full((len(sums),), 99.0, dtype=torch.float64)], 1).requires_grad_(grad)
    return Logps(token, torch.tensor([[True, False]] * len(sums)))


def scored(altered: str = "altered", policy=POLICY, grad: bool = False) -> Scored:
    def named(sums, grad: bool) -> dict[str, Logps]:
        return {altered if view == "altered" else view: one_token(values, grad) for view, values in sums.items()}

    return Scored(named(policy, grad), named(REFERENCE, False))


def padded(rows) -> Logps:
    length = max(map(len, rows))
    token = float64([row + [9.9] * (length - len(row)) for row in rows])
    return Logps(token, torch.tensor([[index < len(row) for index in range(length)] for row in rows]))
