"""Top activations where several are equal."""

import unittest

import torch

from topklm import stats


class Ties(unittest.TestCase):
    def test_the_earlier_of_equal_activations_wins_within_a_call_and_between_calls(self):
        x = torch.randint(-2, 3, (5_000, 6), generator=torch.Generator().manual_seed(1)).float()
        x[:, 5] = 0.0
        x[40:60, 5] = 1.0  # fewer than asked for
        at = torch.arange(len(x))
        for size in (len(x), 700):
            top = stats.Top(6, 50)
            for part, positions in zip(x.split(size), at.split(size), strict=True):
                top.add(part, torch.stack([positions, positions], dim=1))
            for neuron in range(6):
                active = [i for i in range(len(x)) if x[i, neuron] != 0]
                expected = sorted(active, key=lambda i: (-x[i, neuron].item(), i))[:50]
                self.assertEqual([i for i in top.ids[neuron, :, 0].tolist() if i >= 0], expected)


if __name__ == "__main__":
    unittest.main()
