"""TopK language models in PyTorch: data, model, training, export. The engine that runs them is `crate/`."""
