"""How a study's trials are chosen.

| sampler | what it tries |
|---|---|
| grid | every combination |
| qmc | Sobol points over the ranges, drawn once, crossed with optimizers, initializations and seeds: all see the same |
| random | the same with independent uniform points |
| tpe | settings that Optuna's TPE expects to score best, a budget of them for each task, optimizer and initialization |
| edge | for every task, optimizer, initialization and seed the learning rate at which training ends, by bisection |
| refine | a grid, then learning rates beside an edge that it touches, or between neighbours that disagree most |

Each is a set of *lines* (`asking.Line`): generators that yield trials and are sent what became of them, in the order in
which they asked, whatever the order of completion. So what a line asks is a function of the study's seed and of the
results alone; a resumed study replays its lines from the store.
"""
