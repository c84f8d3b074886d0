"""Train a small classifier on drawn points. Usage: python train.py --steps 100 --lr 0.01."""

import argparse
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def points(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=generator)
    centres = 2 * torch.randn(4, 16, generator=generator)
    return TensorDataset(centres[labels] + torch.randn(count, 16, generator=generator), labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    loader = DataLoader(points(2048, options.seed), batch_size=32, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    criterion = nn.CrossEntropyLoss()

    print(f"training {sum(p.numel() for p in model.parameters())} parameters")
    start, step = time.time(), 0
    while step < options.steps:
        for inputs, labels in loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            step += 1
            if step % 10 == 0:
                accuracy = (outputs.argmax(1) == labels).float().mean().item()
                print(f"step {step} loss {loss.item()} accuracy {accuracy:.3f} time {time.time() - start:.1f}s")
            if step == options.steps:
                break


if __name__ == "__main__":
    main()
