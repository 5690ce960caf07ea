"""How much work a function does, counted and not timed: the same on every machine."""

from __future__ import annotations

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_PRODUCTS = {"aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm", "aten::mv", "aten::addmv"}


class OperationCount(TorchDispatchMode):
    """Counts operations on numbers: multiplications of products, entries of everything else; views are free."""

    def __init__(self):
        super().__init__()
        self.done = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            inputs = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
            outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
            self.done += max((leaf.numel() for leaf in inputs + outputs), default=0)
            if function.overloadpacket._qualified_op_name in _PRODUCTS:
                a, b = inputs[-2:]
                self.done += a.numel() * (b.shape[-1] if b.ndim > 1 else 1)
        return result
