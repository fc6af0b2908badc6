# What was stopped goes on with the same command.
TRAIN="python train.py -m +experiment=pretrained study=finetuning_strategies trainer.max_steps=200 train.stop_at=null \
    capture=none logger=csv train.threads=1 train.progress=none checkpoint.keep_weights_mb=1"
$TRAIN seed=1,2,3 finetuning=full,lora
$TRAIN seed=1 finetuning=frozen,bottleneck,pals,discriminative
$TRAIN seed=1 finetuning=top_k finetuning.layers=2
$TRAIN seed=1 finetuning=gradual finetuning.every_n_steps=20
python experiments/finetuning_strategies/cost.py runs/finetuning_strategies/cost.json
python experiments/study.py measure finetuning_strategies
