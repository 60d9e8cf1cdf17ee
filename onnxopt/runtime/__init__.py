"""All contact with onnxruntime: providers, evaluation, inputs, comparison, validation.

Importing this package, or any module in it, does not import onnxruntime, which is an optional extra and
only loaded at first use. What other packages call:

- `providers.resolve`: provider names as users write them;
- `evaluate.run_small`: run a small model in this process, for constant folding;
- `inputs.generate`, `inputs.load`: samples generated from the graph, or read from the user's files;
- `compare.compare_outputs`: compare what two models returned;
- `validate.validate`, `validate.compare`: run two models in a child process and compare them;
- `readers.opening.open_reader`: samples one at a time, from archives, folders, pictures or a function;
- `calibration.observe.observe`: run a model in a child process and gather statistics of its inner values.
"""
