"""The peer's search: PyTorch, transformers, and Optuna with its TPE and its ASHA as they come.

usage: peer_search.py MODEL_DIR TRAIN.tsv DEV.tsv TEST.tsv
       [--rows 2000 400 400] [--chunk 64] [--epochs 6] [--trials 8] [--freeze 2] [--patience 2] [--threads 2] [--seed 0]

TSV: header `label<TAB>text_a`. Texts that stand in two files are left out of the earlier one. Batches have like lengths;
products are in bf16 (torch.autocast). Optuna maximises validation F1 and prunes by it after each epoch; a trial that it
does not prune stops by patience on validation loss. Prints a line for each trial, then seconds by the clock and of the
processor, epochs, and the best validation F1 with its test F1.
"""
import argparse
import copy
import random
import time

import optuna
import torch
from sklearn.metrics import f1_score
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
from transformers import get_linear_schedule_with_warmup

parser = argparse.ArgumentParser()
for name in ('model', 'train', 'dev', 'test'):
    parser.add_argument(name)
parser.add_argument('--rows', type=int, nargs=3, default=[2000, 400, 400])
for name, default in dict(chunk=64, epochs=6, trials=8, freeze=2, patience=2, threads=2, seed=0).items():
    parser.add_argument(f'--{name}', type=int, default=default)
args = parser.parse_args()
torch.set_num_threads(args.threads)
optuna.logging.set_verbosity(optuna.logging.WARNING)
special = {f'{name}_token': f'[{name.upper()}]' for name in ('pad', 'cls', 'sep', 'unk', 'mask')}
tokenizer = PreTrainedTokenizerFast(tokenizer_file=f'{args.model}/tokenizer.json', **special)

seen, splits = set(), []
for path, count in zip((args.test, args.dev, args.train), reversed(args.rows)):
    rows = [line.split('\t', 1) for line in open(path, encoding='utf8').read().split('\n')[1:] if '\t' in line]
    rows = [(label, text) for label, text in rows if not (text in seen or seen.add(text))]
    random.Random(args.seed).shuffle(rows)
    rows = rows[:count]
    ids = [tokenizer.encode(text, truncation=True, max_length=args.chunk) for _, text in rows]
    splits.append((ids, torch.tensor([int(label) for label, _ in rows])))
test, dev, train = splits


def batches(split, order, size):
    """Batches of like length, in random order."""
    groups = [sorted(order[at:at + size * 50], key=lambda row: len(split[0][row])) for at in range(0, len(order), size * 50)]
    found = [group[at:at + size] for group in groups for at in range(0, len(group), size)]
    random.shuffle(found)
    for rows in found:
        yield tokenizer.pad({'input_ids': [split[0][row] for row in rows]}, return_tensors='pt'), split[1][rows]


def measure(model, split):
    """Mean loss and F1 of class 1."""
    model.eval()
    loss, truth, found = 0.0, [], []
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        for batch, labels in batches(split, list(range(len(split[0]))), 64):
            out = model(input_ids=batch['input_ids'], attention_mask=batch['attention_mask'], labels=labels)
            loss += out.loss.item() * len(labels)
            truth += labels.tolist()
            found += out.logits.argmax(-1).tolist()
    return loss / len(truth), f1_score(truth, found)


def objective(trial):
    rate = trial.suggest_float('learning_rate', 1e-5, 5e-4, log=True)
    dropout = trial.suggest_float('dropout', 0.0, 0.5)
    decay = trial.suggest_float('weight_decay', 1e-4, 1.0, log=True)
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    config = BertConfig.from_pretrained(
        args.model, num_labels=2, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    model = BertForSequenceClassification.from_pretrained(args.model, config=config)
    if args.freeze:
        for part in (model.bert.embeddings, *model.bert.encoder.layer[:args.freeze]):
            part.requires_grad_(False)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=rate, weight_decay=decay)
    steps = args.epochs * -(-len(train[0]) // 32)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    lowest, bad, best = float('inf'), 0, (-1.0, None)
    for epoch in range(args.epochs):
        model.train()
        order = list(range(len(train[0])))
        random.shuffle(order)
        for batch, labels in batches(train, order, 32):
            with torch.autocast('cpu', torch.bfloat16):
                loss = model(input_ids=batch['input_ids'], attention_mask=batch['attention_mask'], labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            schedule.step()
        validation_loss, f1 = measure(model, dev)
        trial.set_user_attr('epochs', epoch + 1)
        if f1 > best[0]:
            best = (f1, copy.deepcopy(model.state_dict()))
        trial.report(f1, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
        bad = 0 if validation_loss < lowest else bad + 1
        lowest = min(lowest, validation_loss)
        if bad == args.patience:
            break
    model.load_state_dict(best[1])
    trial.set_user_attr('test_f1', measure(model, test)[1])
    return best[0]


def said(study, trial):
    print(trial.number, trial.state.name, trial.params, trial.value, trial.user_attrs, flush=True)


begun, busy = time.perf_counter(), time.process_time()
study = optuna.create_study(
    direction='maximize', sampler=optuna.samplers.TPESampler(seed=args.seed), pruner=optuna.pruners.SuccessiveHalvingPruner())
study.optimize(objective, n_trials=args.trials, callbacks=[said])
epochs = sum(trial.user_attrs.get('epochs', 0) for trial in study.trials)
print(f'{time.perf_counter() - begun:.0f} s by the clock, {time.process_time() - busy:.0f} s of the processor, {epochs} epochs; '
      f'best validation F1 {study.best_value:.3f}, its test F1 {study.best_trial.user_attrs["test_f1"]:.3f}')
