"""Seeing the inputs of layers: hooks on a model that collect a figure a weight, for the next step.

A forward pass counts when gradients are enabled and its backward pass arrives: evaluation between
steps, and forward passes that are thrown away, leave no trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from robustness.optimizers.power import Convolution

__all__ = ["InputObserver", "Measure"]

Measure = Callable[[nn.Module, Tensor], tuple[Tensor, int]]
"""(layer, input) -> the sum of a figure over examples, which broadcasts to the layer's weight, and their count.

Not their mean: a division takes 0.05 ms between two convolutions, 0.008 ms among others of its kind.
"""

_Figures = list[tuple[Tensor, Tensor, int]]

_T = TypeVar("_T")

_BLIND = (nn.RNNBase, nn.RNNCellBase, nn.Bilinear)


class InputObserver:
    """Collects `measure(layer, input)` for each trainable weight of a Linear, convolution or attention layer.

    Several passes before a step (a layer used twice, tied weights, accumulated gradients) are averaged.

    Args:
        model: hooks are put on its layers.
        measure: the figure.
        plain: parameters to leave out, by name.

    Raises:
        ValueError: a weight's input cannot be seen, and `plain` does not name it.
    """

    def __init__(self, model: nn.Module, measure: Measure, plain: frozenset[str]) -> None:
        """Hook the layers."""
        self._measure = measure
        self._totals: dict[Tensor, tuple[Tensor, int, int]] = {}
        self._current: dict[nn.Module, _Figures] = {}
        self.names: dict[Tensor, str] = {}
        self._handles: list[RemovableHandle] = []
        hooked: list[nn.Module] = []
        for path, module in model.named_modules():
            weights = [
                (f"{path}.{name}".lstrip("."), p)
                for name, p in _weights(module)
                if p is not None and p.requires_grad
            ]
            seen = [(name, p) for name, p in weights if name not in plain]
            if not seen:
                continue
            if isinstance(module, _BLIND) or _is_blind_projection(model, path):
                raise ValueError(
                    f"{seen[0][0]}: the input of this {type(module).__name__} weight cannot be seen from outside its "
                    f"module; name it in `plain` to step it without normalization"
                )
            self.names.update((p, name) for name, p in seen)
            hooked.append(module)
        before, after = _Before(weakref.ref(self)), _After(weakref.ref(self))
        for module in hooked:
            self._handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            self._handles.append(module.register_forward_hook(after))
        # The handles hold no reference to self: the hooks go when the optimizer does.
        weakref.finalize(self, _remove, self._handles)

    def close(self) -> None:
        """Remove the hooks."""
        _remove(self._handles)

    def forget(self) -> None:
        """Drop what was collected."""
        self._totals.clear()

    def collected(self) -> dict[Tensor, Tensor]:
        """The mean figure of each weight since the last `forget`."""
        if not self._totals:
            return {}
        divisors = [float(count * passes) for _, count, passes in self._totals.values()]
        means = torch._foreach_div([total for total, _, _ in self._totals.values()], divisors)
        return dict(zip(self._totals, means, strict=True))

    def look(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Measure before the layer runs: what it is about to read is in the cache, and stays for it."""
        if torch.is_grad_enabled():
            self._current[module] = self._figures(module, args, kwargs)

    def attach(self, module: nn.Module, output: Any) -> None:
        """Count what was measured when the gradient of the output arrives."""
        figures = self._current.pop(module, None)
        first = output[0] if isinstance(output, tuple) else output
        if figures is None or not first.requires_grad:
            return
        reference = weakref.ref(self)

        def count(_: Tensor) -> None:
            observer = reference()
            if observer is not None:
                observer._add(figures)

        first.register_hook(count)

    def _add(self, figures: _Figures) -> None:
        for weight, total, count in figures:
            if weight in self._totals:
                mean, divisor, passes = self._totals[weight]
                self._totals[weight] = (mean / divisor + total / count, 1, passes + 1)
            elif weight in self.names:
                self._totals[weight] = (total, count, 1)

    def _figures(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Figures:
        if not isinstance(module, nn.MultiheadAttention):
            x = args[0] if args else kwargs["input"]
            return [(module.weight, *self._measure(module, x))]  # type: ignore[list-item]
        inputs = [args[i] if i < len(args) else kwargs[n] for i, n in enumerate(("query", "key", "value"))]
        # Each in-projection is a Linear layer on its own input.
        figures = [self._measure(module.out_proj, x) for x in inputs]
        if module.in_proj_weight is None:
            weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
            return [(weight, *figure) for weight, figure in zip(weights, figures, strict=True)]
        rows = torch.stack([total / count for total, count in figures]).repeat_interleave(module.embed_dim)
        return [(module.in_proj_weight, rows[:, None], 1)]


# Not torch.compiler.disable, which imports the compiler at once (two seconds that packs never need); this, as
# torch.optim has it, when it is first called.
_uncompiled: Callable[[_T], _T] = torch._disable_dynamo  # type: ignore[attr-defined,assignment]


class _Hook:
    """Forward hooks that do not keep their observer alive, and that a copied or pickled model drops."""

    def __init__(self, observer: Callable[[], InputObserver | None]) -> None:
        self._observer = observer

    def __reduce__(self) -> tuple[type[_Hook], tuple[Callable[[], None]]]:
        return type(self), (_nobody,)


class _Before(_Hook):
    @_uncompiled
    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        observer = self._observer()
        if observer is not None:
            observer.look(module, args, kwargs)


class _After(_Hook):
    @_uncompiled
    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        observer = self._observer()
        if observer is not None:
            observer.attach(module, output)


def _nobody() -> None:
    return None


def _remove(handles: list[RemovableHandle]) -> None:
    while handles:
        handles.pop().remove()


def _weights(module: nn.Module) -> Sequence[tuple[str, Tensor | None]]:
    if isinstance(module, nn.MultiheadAttention):
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        return [(name, getattr(module, name)) for name in names]
    if isinstance(module, (nn.Linear, Convolution)):
        return [("weight", module.weight)]
    if isinstance(module, _BLIND):
        return [(name, p) for name, p in module.named_parameters(recurse=False) if p.ndim > 1]
    return []


def _is_blind_projection(model: nn.Module, path: str) -> bool:
    """nn.MultiheadAttention uses its out_proj's weight without calling the layer."""
    parent, _, name = path.rpartition(".")
    return name == "out_proj" and isinstance(model.get_submodule(parent), nn.MultiheadAttention)
