python train.py -m +experiment=unit_287 seed=42,1,2,3,4,5,6,7,8,9
python experiments/study.py measure unit_287
