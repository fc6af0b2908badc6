python experiments/kernel_width/predict.py explanations/kernel_width
python experiments/study.py measure kernel_width --runs explanations/kernel_width
