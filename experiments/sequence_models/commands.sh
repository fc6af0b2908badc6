# PROMOTERS is the file of promoters. What was stopped goes on with the same command.
python train.py -m +experiment=sequence_linear,sequence_kmer study=sequence_models_motifs seed=1 \
    capture=none logger=csv train.threads=1 train.progress=none trainer.max_epochs=3
python train.py -m +experiment=sequence_transformer,sequence_cnn,sequence_lecture_linear study=sequence_models_motifs seed=1,2,3,4,5 \
    capture=none logger=csv train.threads=1 train.progress=none trainer.max_epochs=3
python train.py -m +experiment=sequence_transformer model.positions=none model.name=without_positions study=sequence_models_motifs \
    seed=1,2,3,4,5 capture=none logger=csv train.threads=1 train.progress=none trainer.max_epochs=3
# Five folds; seed i is of fold i
python experiments/sequence_models/folds.py "$PROMOTERS" runs/promoter_folds
python train.py -m +experiment=sequence_linear,sequence_kmer,sequence_transformer,sequence_cnn \
    study=sequence_models_promoters seed=1,2,3,4,5 trainer.max_epochs=2 data=sequence_files \
    'data.train_path=runs/promoter_folds/${seed}/train.csv' 'data.validation_path=runs/promoter_folds/${seed}/validation.csv' \
    capture=none logger=csv train.threads=1 train.progress=none
# Only for the figures
python train.py +experiment=sequence_transformer model=sequence_sparse study=sequence_models_figures seed=1 \
    capture=none logger=csv train.threads=1 train.progress=none trainer.max_epochs=3
python train.py +experiment=sequence_universal study=sequence_models_steps seed=1 \
    capture=none logger=csv train.threads=1 train.progress=none trainer.max_epochs=3
python experiments/study.py measure sequence_models
