python train.py -m study=curriculum seed=1,2,3,4,5 capture=none train.threads=1 \
    data.curriculum=null,facts,length,loss
python experiments/study.py measure curriculum
