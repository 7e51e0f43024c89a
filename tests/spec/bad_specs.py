"""Specs that must be refused: a change of the small valid spec, the path, words of the rule.

Used by the tests of the library and of the command line.
"""

from __future__ import annotations

from typing import Any

Bad = tuple[str, dict[str, Any], str, str]

NAN, INF = float("nan"), float("inf")


def _drawn(**search: Any) -> dict[str, Any]:
    return {"search": {"sampler": "random", "budget": 10, "lr": {"low": 0.1, "high": 1.0}, **search}}


def _optimizer(**arguments: Any) -> dict[str, Any]:
    return {"optimizers": [{"name": "sgd", **arguments}]}


def _claim(**changes: Any) -> dict[str, Any]:
    claim = {"metric": "score", "a": "sgd", "b": "adam", **changes}
    return {"optimizers": [{"name": "sgd"}, {"name": "adam"}], "claim": claim}


BAD: list[Bad] = [
    # wrong types
    ("seeds a string", {"search": {"seeds": "5"}}, "search.seeds", "valid integer"),
    ("seeds a boolean", {"search": {"seeds": True}}, "search.seeds", "valid integer"),
    ("seeds a fraction", {"search": {"seeds": 1.5}}, "search.seeds", "valid integer"),
    ("lr a string", {"search": {"lr": "0.1"}}, "search.lr", "valid number"),
    ("lr a boolean", {"search": {"lr": True}}, "search.lr", "valid number"),
    ("lr list with a string", {"search": {"lr": [0.1, "1"]}}, "search.lr[1]", "valid number"),
    ("epochs a string", {"task": {"epochs": "3"}}, "tasks[0].epochs", "whole number"),
    ("epochs a boolean", {"task": {"epochs": True}}, "tasks[0].epochs", "whole number"),
    ("momentum a string", _optimizer(momentum="0.9"), "optimizers[0].momentum", "a number"),
    ("nesterov a number", _optimizer(nesterov=1), "optimizers[0].nesterov", "true or false"),
    ("name a number", {"name": 3}, "name", "valid string"),
    ("tasks a table", {"tasks": {"data": "digits"}}, "tasks", "valid list"),
    ("a task a string", {"tasks": ["digits"]}, "tasks[0]", "valid dict"),
    ("init a number", {"search": {"init": [3]}}, "search.init[0]", "a name or a table"),
    ("data a number", {"task": {"data": 3}}, "tasks[0].data", "must be a string"),
    (
        "an optimizer's lr null",
        {"optimizers": [{"name": "sgd", "lr": None}]},
        "optimizers[0].lr",
        "a list or a range",
    ),
    (
        "a data set beyond memory",
        {"task": {"data": "synthetic", "train_size": 10**7, "side": 1024}},
        "tasks[0]",
        "at most",
    ),
    ("a model beyond memory", {"task": {"width": 65_536, "depth": 100}}, "tasks[0]", "weights, at most"),
    ("dampening without momentum", _optimizer(dampening=0.5), "optimizers[0]", "without momentum"),
    ("milestones without a step schedule", _optimizer(milestones=[1.0]), "optimizers[0]", "schedule = step"),
    (
        "milestones that fall",
        _optimizer(schedule="step", milestones=[2.0, 1.0]),
        "optimizers[0]",
        "milestones must rise",
    ),
    (
        "a milestone beyond the budget",
        _optimizer(schedule="step", milestones=[80.0]),
        "optimizers[0]",
        "milestones must be < ",
    ),
    (
        "a warm-up beyond the budget",
        _optimizer(warmup_epochs=100.0),
        "optimizers[0]",
        "warmup_epochs must be <=",
    ),
    (
        "a released option of the paper",
        {"optimizers": [{"name": "insgd", "preset": "released", "beta": 0.5}]},
        "optimizers[0]",
        "no place",
    ),
    ("a line break in a label", _optimizer(label="a\nb"), "optimizers[0].label", "one line"),
    ("a blank label", _optimizer(label=" "), "optimizers[0].label", "1 to 100"),
    ("an escape in a title", {"title": "a\u009b31m"}, "title", "control characters"),
    ("an unknown tracker", {"loggers": ["mlfow"]}, "loggers[0]", "did you mean 'mlflow'"),
    ("a tracker twice", {"loggers": ["mlflow", "mlflow"]}, "loggers", "each tracker once"),
    ("trackers a string", {"loggers": "mlflow"}, "loggers", "valid list"),
    # numbers out of bounds
    ("lr NaN", {"search": {"lr": NAN}}, "search.lr", "finite"),
    ("lr infinite", {"search": {"lr": [0.1, INF]}}, "search.lr[1]", "finite"),
    ("lr negative", {"search": {"lr": -0.1}}, "search.lr", "greater than 0"),
    ("lr zero", {"search": {"lr": [0.0]}}, "search.lr[0]", "greater than 0"),
    (
        "lr range from zero",
        {"search": {"lr": {"low": 0, "high": 1, "points": 3}}},
        "search.lr.low",
        "greater than 0",
    ),
    (
        "lr range reversed",
        {"search": {"lr": {"low": 1.0, "high": 0.1, "points": 3}}},
        "search.lr.high",
        "> low",
    ),
    ("lr range of one", {"search": {"lr": {"low": 0.1, "high": 1.0, "points": 1}}}, "search.lr.points", "2"),
    ("lr range misspelt", {"search": {"lr": {"low": 0.1, "hi": 1.0, "points": 3}}}, "search.lr.hi", "'high'"),
    (
        "lr range without points",
        {"search": {"lr": {"low": 0.1, "high": 1.0}}},
        "search.lr.points",
        "required",
    ),
    ("epochs negative", {"task": {"epochs": -1}}, "tasks[0].epochs", ">= 1"),
    ("epochs zero", {"task": {"epochs": 0}}, "tasks[0].epochs", ">= 1"),
    ("epochs a fraction", {"task": {"epochs": 1.5}}, "tasks[0].epochs", "whole number"),
    ("epochs a billion", {"task": {"epochs": 10**9}}, "tasks[0].epochs", "<= 100000"),
    ("batch zero", {"task": {"batch_size": 0}}, "tasks[0].batch_size", ">= 1"),
    ("stop below the start", {"task": {"stop_above": 0.5}}, "tasks[0].stop_above", "0 or >= 2"),
    ("pack zero", {"resources": {"pack": 0}}, "resources.pack", "auto or a whole number from 1 to 4096"),
    ("pack a word", {"resources": {"pack": "many"}}, "resources.pack", "auto or a whole number"),
    ("batch above the training set", {"task": {"batch_size": 1258}}, "tasks[0].batch_size", "1257"),
    ("seeds zero", {"search": {"seeds": 0}}, "search.seeds", "greater than or equal to 1"),
    ("seed beyond 2^63", {"search": {"seed": 2**63}}, "search.seed", "less than"),
    ("seed negative", {"search": {"seed": -1}}, "search.seed", "greater than or equal to 0"),
    ("momentum one", _optimizer(momentum=1.0), "optimizers[0].momentum", "< 1"),
    ("momentum NaN", _optimizer(momentum=NAN), "optimizers[0].momentum", "a number"),
    ("weight decay negative", _optimizer(weight_decay=-1e-4), "optimizers[0].weight_decay", ">= 0"),
    (
        "weight decay beyond floats",
        _optimizer(weight_decay=10**400),
        "optimizers[0].weight_decay",
        "a number",
    ),
    ("betas one", {"optimizers": [{"name": "adam", "betas": [0.9, 1.0]}]}, "optimizers[0].betas", "< 1"),
    (
        "betas of three",
        {"optimizers": [{"name": "adam", "betas": [0.9, 0.9, 0.9]}]},
        "optimizers[0].betas",
        "2 numbers",
    ),
    ("nesterov without momentum", _optimizer(nesterov=True), "optimizers[0]", "momentum > 0"),
    ("std zero", {"search": {"init": [{"name": "normal", "std": 0.0}]}}, "search.init[0].std", "> 0"),
    ("cpus zero", {"resources": {"cpus": 0}}, "resources.cpus", "greater than or equal to 1"),
    ("gpus one and a half", {"resources": {"gpus": 1.5}}, "resources.gpus", "whole number"),
    # samplers
    ("an unknown sampler", {"search": {"sampler": "sobol"}}, "search.sampler", "'grid'"),
    (
        "a budget with a grid",
        {"search": {"budget": 10}},
        "search.budget",
        "goes with sampler = qmc, random, tpe, refine",
    ),
    ("random without a budget", _drawn(budget=None), "search.budget", "required"),
    ("confirming what was drawn", _drawn(confirm=5), "search.confirm", "goes with sampler = grid, refine"),
    ("no data order", {"search": {"orders": 0}}, "search.orders", "greater than or equal to 1"),
    ("a resolution with random", _drawn(resolution=0.1), "search.resolution", "goes with sampler = edge"),
    ("random on a grid of learning rates", _drawn(lr=[0.1, 1.0]), "search.lr", "without points"),
    ("random on one learning rate", _drawn(lr=0.1), "search.lr", "a range"),
    ("edge on a grid", {"search": {"sampler": "edge", "lr": [0.1, 1.0]}}, "search.lr", "a range"),
    ("a budget of nothing", _drawn(budget=0), "search.budget", "greater than or equal to 1"),
    (
        "a range in a grid",
        _optimizer(momentum={"low": 0.0, "high": 0.9}),
        "optimizers[0].momentum.points",
        "required",
    ),
    (
        "a range reversed",
        _optimizer(momentum={"low": 0.9, "high": 0.0, "points": 3}),
        "optimizers[0].momentum.high",
        "> low",
    ),
    (
        "a range beyond the bound",
        _optimizer(momentum={"low": 0.0, "high": 1.0, "points": 3}),
        "optimizers[0].momentum.high",
        "< 1",
    ),
    (
        "a logarithmic range from zero",
        _optimizer(momentum={"low": 0.0, "high": 0.9, "log": True, "points": 3}),
        "optimizers[0].momentum.log",
        "low > 0",
    ),
    (
        "a range misspelt",
        _optimizer(momentum={"low": 0.0, "hihg": 0.9}),
        "optimizers[0].momentum.hihg",
        "'high'",
    ),
    (
        "a range of a word",
        {"task": {"norm": {"low": 0, "high": 1}}},
        "tasks[0].norm",
        "a range is for a number",
    ),
    (
        "training sizes drawn",
        _drawn() | {"task": {"train_size": {"low": 100, "high": 1000}}},
        "tasks[0].train_size",
        "cannot be drawn",
    ),
    (
        "stopping drawn",
        _drawn() | {"task": {"stop_above": {"low": 2.0, "high": 10.0}}},
        "tasks[0].stop_above",
        "cannot be drawn",
    ),
    (
        "drawn batches above the training set",
        _drawn() | {"task": {"batch_size": {"low": 16, "high": 2000}}},
        "tasks[0].batch_size",
        "1257",
    ),
    (
        "a lattice of 10^9 learning rates",
        {
            "search": {
                "sampler": "edge",
                "lr": {"low": 1e-30, "high": 1e30},
                "resolution": 1e-4,
                "seeds": 10_000,
            }
        },
        "search",
        "at most",
    ),
    # unknown and misspelt
    ("unknown field", {"taks": []}, "taks", "'tasks'"),
    ("unknown search field", {"search": {"seedz": 3}}, "search.seedz", "'seed"),
    ("misspelt optimizer", {"optimizers": [{"name": "sdg"}]}, "optimizers[0].name", "'sgd'"),
    ("misspelt argument", _optimizer(momentun=0.9), "optimizers[0].momentun", "'momentum'"),
    (
        "another optimizer's argument",
        _optimizer(betas=[0.9, 0.99]),
        "optimizers[0].betas",
        "takes no 'betas'",
    ),
    ("misspelt data", {"task": {"data": "digit"}}, "tasks[0].data", "'digits'"),
    ("misspelt model", {"task": {"model": "mpl"}}, "tasks[0].model", "'mlp'"),
    ("misspelt task field", {"task": {"epoch": 3}}, "tasks[0].epoch", "'epochs'"),
    ("another model's argument", {"task": {"dropout": 0.1}}, "tasks[0].dropout", "toy-cnn"),
    ("misspelt init", {"search": {"init": ["kaiming-norml"]}}, "search.init[0].name", "'kaiming-normal'"),
    (
        "misspelt init argument",
        {"search": {"init": [{"name": "normal", "sdt": 1.0}]}},
        "search.init[0].sdt",
        "'std'",
    ),
    ("unknown norm", {"task": {"norm": "bach"}}, "tasks[0].norm", "'batch'"),
    ("unknown sampler", {"search": {"sampler": "gird"}}, "search.sampler", "grid"),
    ("no optimizer name", {"optimizers": [{"momentum": 0.9}]}, "optimizers[0].name", "required"),
    ("no model", {"tasks": [{"data": "digits"}]}, "tasks[0].model", "required"),
    ("no learning rate", {"search": {"lr": None}}, "search.lr", "required"),
    ("code as a name", {"optimizers": [{"name": "os:system"}]}, "optimizers[0].name", "unknown optimizer"),
    ("code as data", {"task": {"data": "os:system"}}, "tasks[0].data", "unknown data set"),
    # empty and twice
    ("no tasks", {"tasks": []}, "tasks", "at least 1"),
    ("no optimizers", {"optimizers": []}, "optimizers", "at least 1"),
    ("no learning rates", {"search": {"lr": []}}, "search.lr", "at least 1"),
    ("no inits", {"search": {"init": []}}, "search.init", "at least one"),
    ("an empty axis", {"task": {"epochs": []}}, "tasks[0].epochs", "at least one"),
    ("an empty optimizer axis", _optimizer(momentum=[]), "optimizers[0].momentum", "at least one"),
    ("lr twice", {"search": {"lr": [0.1, 1e-1]}}, "search.lr", "twice"),
    ("lr twice after rounding", {"search": {"lr": [0.1, 0.1000000000000001]}}, "search.lr", "twice"),
    ("axis value twice", _optimizer(momentum=[0.9, 0.9]), "optimizers[0].momentum[1]", "twice"),
    ("init twice", {"search": {"init": ["default", "default"]}}, "search.init[1]", "the same as"),
    (
        "optimizer twice",
        {"optimizers": [{"name": "sgd"}, {"name": "sgd", "momentum": 0.0}]},
        "optimizers[1]",
        "the same",
    ),
    (
        "label twice",
        {"optimizers": [{"name": "sgd", "label": "a"}, {"name": "adam", "label": "a"}]},
        "optimizers[1]",
        "comes twice",
    ),
    # what does not go together
    (
        "sparse on convolutions",
        {"task": {"model": "toy-cnn"}, "search": {"init": ["sparse"]}},
        "search.init",
        "convolutions",
    ),
    ("zero-residual without branches", {"search": {"init": ["zero-residual"]}}, "search.init", "residual"),
    ("images needed", {"task": {"data": "mnist1d", "model": "toy-cnn"}}, "tasks[0].model", "images"),
    ("augmented vectors", {"task": {"data": "mnist1d", "augment": "flip"}}, "tasks[0].augment", "images"),
    ("batch norm on one", {"task": {"norm": "batch", "batch_size": 1}}, "tasks[0].batch_size", ">= 2"),
    ("group norm on odd width", {"task": {"norm": "group", "width": 63}}, "tasks[0].width", "multiple of 4"),
    (
        "more classes than examples",
        {"task": {"data": "synthetic", "classes": 2000}},
        "tasks[0].classes",
        "examples",
    ),
    (
        "a part without a class",
        {"task": {"train_size": 9, "batch_size": 9}},
        "tasks[0].train_size",
        "10 classes",
    ),
    ("a test part without a class", {"task": {"test_size": 9}}, "tasks[0].test_size", "10 classes"),
    ("a part larger than the whole", {"task": {"train_size": 1258}}, "tasks[0].train_size", "<= 1257"),
    (
        "a part larger than one of the wholes",
        {"task": {"data": ["cifar10", "digits"], "train_size": 2000}},
        "tasks[0]",
        "train_size with digits must be a whole number, >= 0 and <= 1257, got 2000",
    ),
    (
        "a norm that a model does not have",
        {"task": {"model": "vit", "norm": "batch"}},
        "tasks[0].norm",
        "none, layer",
    ),
    ("images too small", {"task": {"model": "mobilenet-v3"}}, "tasks[0].model", "at least 16 pixels"),
    (
        "a patch that does not fit",
        {"task": {"model": "vit", "patch": 3}},
        "tasks[0].patch",
        "must divide the sides",
    ),
    (
        "heads that do not fit",
        {"task": {"model": "vit", "heads": 7}},
        "tasks[0].heads",
        "must divide the width",
    ),
    (
        "the released code on depthwise convolutions",
        {
            "task": {"model": "mobilenet-v3", "data": "cifar10"},
            "optimizers": [{"name": "insgd", "preset": ["paper", "released"]}],
        },
        "optimizers[0]",
        "does not run mobilenet-v3",
    ),
    # claims
    ("a claim about nobody", _claim(a="sdg"), "claim.a", "did you mean 'sgd'?"),
    ("a claim against nobody", _claim(b="adm"), "claim.b", "did you mean 'adam'?"),
    ("a claim against itself", _claim(b="sgd"), "claim.b", "another optimizer than a"),
    ("a claim of no metric", _claim(metric="divergence"), "claim.metric", "'divergence_rate'"),
    ("a claim of many metrics", _claim(metric=["score"]), "claim.metric", "a metric of comparisons"),
    ("a claim with more", _claim(task="digits mlp"), "claim.task", "unknown field"),
    ("a claim without b", {"claim": {"metric": "score", "a": "sgd"}}, "claim.b", "is required"),
    ("a claim that is text", {"claim": "insgd wins"}, "claim", "valid dictionary"),
    # too large
    (
        "a billion points",
        {"search": {"lr": {"low": 0.1, "high": 1.0, "points": 10**9}}},
        "search",
        "at most 100,000 cells",
    ),
    (
        "a grid of a billion",
        {"task": {"epochs": list(range(1, 100_001)), "width": list(range(1, 10_001))}},
        "search",
        "cells",
    ),
    (
        "ten million trials",
        {"search": {"seeds": 100_000, "lr": {"low": 0.1, "high": 1.0, "points": 100}}},
        "search.seeds",
        "trials",
    ),
    # names and texts
    ("path as name", {"name": "../etc"}, "name", "1 to 64"),
    ("encoded path as name", {"name": "%2e%2e"}, "name", "1 to 64"),
    ("dots as name", {"name": ".."}, "name", "1 to 64"),
    ("NUL in a name", {"name": "a\0b"}, "name", "1 to 64"),
    ("right-to-left name", {"name": "a\u202eb"}, "name", "1 to 64"),
    ("newline after a name", {"name": "small\n"}, "name", "1 to 64"),
    ("long name", {"name": "a" * 10_000}, "name", "1 to 64"),
    ("empty name", {"name": ""}, "name", "1 to 64"),
    ("long title", {"title": "a" * 10_000}, "title", "at most 1000"),
    ("NUL in a title", {"title": "a\0b"}, "title", "control characters"),
    ("right-to-left label", _optimizer(label="a\u202eb"), "optimizers[0].label", "direction marks"),
    ("empty label", _optimizer(label=""), "optimizers[0].label", "1 to 100"),
]

BAD_TEXTS: list[tuple[str, str, str, str]] = [
    ("duplicate TOML key", "toml", 'name = "a"\nname = "b"\n', "overwrite"),
    ("duplicate JSON key", "json", '{"name": "a", "name": "b"}', "comes twice"),
    ("duplicate YAML key", "yaml", "name: a\nname: b\n", "comes twice"),
    ("YAML alias", "yaml", "a: &x [1]\nb: *x\n", "aliases"),
    ("YAML tag", "yaml", "a: !!timestamp foo\n", "tags"),
    ("YAML set", "yaml", "a: !!set {x}\n", "tags"),
    ("YAML object", "yaml", "a: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
    ("JSON NaN", "json", '{"search": {"lr": NaN}}', "not a JSON number"),
    ("JSON infinity", "json", '{"name": Infinity}', "not a JSON number"),
    ("broken TOML", "toml", "name = ", "not valid TOML"),
    ("broken JSON", "json", '{"name": ', "not valid JSON"),
    ("a list at the top", "json", "[1, 2]", "table of fields"),
    ("nothing", "yaml", "", "table of fields"),
    ("deep TOML", "toml", "a = " + "[" * 100_000 + "]" * 100_000, "nested"),
    ("deep JSON", "json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
    ("deep YAML", "yaml", "a: " + "[" * 100_000 + "]" * 100_000, "nested"),
    ("an enormous integer", "json", '{"name": ' + "9" * 5_000 + "}", "not valid JSON"),
    ("over a megabyte", "toml", "# " + "a" * 1_000_001, "1,000,000 bytes"),
]
