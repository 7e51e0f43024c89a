from robustness.catalog import Argument, OptimizerEntry

ENTRY = OptimizerEntry(
    name="halving",
    summary="SGD whose step is halved every so many steps",
    target="halving_optimizer:Halving",
    default_lr=0.1,
    arguments=(Argument(name="every", kind="int", default=100, low=1, doc="steps between halvings"),),
)
