"""Runs the peer's sweep with bf16 in its matrix products: the other side of `compare.sh bf16`.

usage: peer_bf16.py autocast|medium PEER_SWEEP.py ARGUMENTS
(autocast: torch.autocast around the model; medium: torch.set_float32_matmul_precision)
"""
import functools, runpy, sys
import torch, transformers

model = transformers.BertForSequenceClassification
plain = model.forward


@functools.wraps(plain)
def forward(*arguments, **named):
    with torch.autocast('cpu', torch.bfloat16):
        return plain(*arguments, **named)


way = sys.argv[1]
assert way in ('autocast', 'medium'), __doc__
if way == 'autocast':
    model.forward = forward
else:
    torch.set_float32_matmul_precision('medium')
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
