python train.py -m +experiment=pretrained study=words_that_match checkpoint.keep_every_n_steps=10 seed=1,2,3
python experiments/study.py measure words_that_match
