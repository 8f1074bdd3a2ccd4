"""What every loss looks at: one head's logits beside the truth, with the unknown pixels taken out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from geounet.model.spec import NODATA, Head


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One head's logits and truth. A mask head has one channel and the values 0 and 1."""

    logits: Tensor
    """(N, channels, H, W)"""
    target: Tensor
    """(N, H, W) uint8: class values, NODATA where nothing is known."""
    mask: bool
    """A mask head: sigmoid of one channel instead of softmax over all."""

    @classmethod
    def by(cls, head: Head, logits: Tensor, target: Tensor) -> Seen:
        """What ``head`` says beside what it should say."""
        return cls(logits=logits, target=target, mask=head.kind == "mask")

    @cached_property
    def known(self) -> Tensor:
        """(N, H, W) bool: where the truth counts."""
        return self.target != NODATA

    @cached_property
    def index(self) -> Tensor:
        """(N, H, W) int64: the truth, and 0 where it is unknown."""
        return self.target.long().masked_fill(~self.known, 0)

    @cached_property
    def truth(self) -> Tensor:
        """(N, channels, H, W): 1 where a channel is true, 0 elsewhere and where nothing is known."""
        if self.mask:
            return (self.index * self.known).to(self.logits.dtype)[:, None]
        hot = F.one_hot(self.index, self.logits.shape[1]).permute(0, 3, 1, 2)
        return hot.to(self.logits.dtype) * self.known[:, None]

    @cached_property
    def probability(self) -> Tensor:
        """(N, channels, H, W): what the head says, 0 where nothing is known."""
        said = self.logits.sigmoid() if self.mask else self.logits.softmax(1)
        return said * self.known[:, None]
