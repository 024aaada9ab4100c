"""Runs the peer's sweep with torch.autocast and bf16 around its model: the other side of `compare.sh bf16`.

usage: peer_bf16.py PEER_SWEEP.py ARGUMENTS
"""
import functools, runpy, sys
import torch, transformers

model = transformers.BertForSequenceClassification
plain = model.forward


@functools.wraps(plain)
def forward(*arguments, **named):
    with torch.autocast('cpu', torch.bfloat16):
        return plain(*arguments, **named)


model.forward = forward
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
