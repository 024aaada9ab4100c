"""Seconds of one training step in PyTorch and transformers: the other side of benches/step.rs.

usage: step_peer.py MODEL_DIR TEXTS.tsv full|real|bucket cls|mean STEPS THREADS [autocast|medium]
(full: every text fills 128 tokens; real: padded to the longest of each random batch;
bucket: batches of like length, sorted within 50 batches; autocast: with torch.autocast and bf16;
medium: with torch.set_float32_matmul_precision)
       step_peer.py --make MODEL_DIR FROM_DIR WIDTH   (a random 4-layer BERT with FROM_DIR's tokenizer)
Prints JSON: seconds of each step but the first.
"""
import json, os, random, shutil, sys, time
os.environ['HF_HUB_OFFLINE'] = '1'
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

if sys.argv[1] == '--make':
    folder, source, width = sys.argv[2], sys.argv[3], int(sys.argv[4])
    torch.manual_seed(0)
    config = BertConfig(vocab_size=21128, hidden_size=width, num_hidden_layers=4, intermediate_size=4 * width,
                        num_attention_heads=max(1, width // 64), num_labels=2)
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ('tokenizer.json', 'tokenizer_config.json', 'vocab.txt', 'special_tokens_map.json'):
        if os.path.exists(os.path.join(source, name)):
            shutil.copy(os.path.join(source, name), folder)
    sys.exit()

model, texts, shape, pooling, steps, threads = sys.argv[1:7]
precision = (sys.argv[7:] + ['f32'])[0]
assert precision in ('f32', 'autocast', 'medium'), precision
if precision == 'medium':
    torch.set_float32_matmul_precision('medium')
steps = int(steps)
torch.set_num_threads(int(threads))
torch.manual_seed(0)
random.seed(0)
tokenizer = PreTrainedTokenizerFast(tokenizer_file=model + '/tokenizer.json', pad_token='[PAD]', cls_token='[CLS]',
                                    sep_token='[SEP]', unk_token='[UNK]', mask_token='[MASK]')
rows = [line.split('\t', 1) for line in open(texts, encoding='utf8').read().split('\n')[1:] if '\t' in line]
rows = [(text, int(label)) for label, text in rows[:steps * 32]]
if shape == 'full':
    rows = [((text * 400)[:400], label) for text, label in rows]
ids = [tokenizer.encode(text, truncation=True, max_length=128) for text, _ in rows]
order = list(range(len(rows)))
random.shuffle(order)
if shape == 'bucket':
    batches = []
    for start in range(0, len(order), 1600):
        group = sorted(order[start:start + 1600], key=lambda index: len(ids[index]))
        batches += [group[at:at + 32] for at in range(0, len(group), 32)]
    random.shuffle(batches)
else:
    batches = [order[at:at + 32] for at in range(0, len(order), 32)]

config = BertConfig.from_pretrained(model, num_labels=2, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)


class MeanPooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel.from_pretrained(model, config=config, add_pooling_layer=False)
        self.dropout = torch.nn.Dropout(0.1)
        self.classifier = torch.nn.Linear(config.hidden_size, 2)

    def forward(self, input_ids, attention_mask, labels):
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1)
        logits = self.classifier(self.dropout((hidden * mask).sum(1) / mask.sum(1)))
        return torch.nn.functional.cross_entropy(logits, labels)


net = MeanPooled() if pooling == 'mean' else BertForSequenceClassification.from_pretrained(model, config=config)
net.train()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-5, weight_decay=0.01)
seconds = []
for batch in batches[:steps]:
    start = time.perf_counter()
    encoded = tokenizer.pad({'input_ids': [ids[index] for index in batch]}, return_tensors='pt')
    labels = torch.tensor([rows[index][1] for index in batch])
    with torch.autocast('cpu', torch.bfloat16, enabled=precision == 'autocast'):
        output = net(input_ids=encoded['input_ids'], attention_mask=encoded['attention_mask'], labels=labels)
    loss = output if pooling == 'mean' else output.loss
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    seconds.append(time.perf_counter() - start)
print(json.dumps({'seconds': seconds[1:]}))
